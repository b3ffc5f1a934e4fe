import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  codeOf,
  INSTANCE_HEADER,
  type Caller,
  type Clock,
  type EndpointGroup,
  type Grant,
  type Logger,
} from '@msi-proxy/shared';
import { badRequest, internalError, jsonAnswer, serviceUnavailable } from '../answers/imds-answers.ts';
import type { LocalAnswer } from '../answers/local-answer.ts';
import type { AuditLog, AuditRecord } from '../audit.ts';
import { authorize, type Allowed } from '../authorize/authorize.ts';
import type { CallerResolver, Resolution } from '../callers/caller-resolver.ts';
import type { CallerStatistics } from '../callers/caller-statistics.ts';
import type { CallerTable } from '../callers/caller-table.ts';
import type { GatedRequest } from '../gate/gated-request.ts';
import { passGate } from '../gate/request-gate.ts';
import type { UpstreamAnswer } from '../relay.ts';
import { sendLocalAnswer, sendUpstreamAnswer } from './send-answer.ts';

/** A request that may be answered, and what for. */
export interface AuthorizedRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly gated: GatedRequest;
  readonly decision: Allowed;
  readonly caller: Caller;
  readonly body: Buffer;
}

/** Gets the answer to an authorised request: by relaying it, or, for tokens, from wherever tokens are kept. */
export type AnswerSource = (authorized: AuthorizedRequest) => Promise<UpstreamAnswer>;

export interface RequestHandlerOptions {
  readonly instanceId: string;
  readonly table: CallerTable;
  readonly resolver: CallerResolver;
  readonly statistics: CallerStatistics;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly requireIdentity: boolean;
  /** Where answers come from, by endpoint group. */
  readonly sources: (group: EndpointGroup | 'versions') => AnswerSource;
  /** What the health check of the proxy's own container is told. */
  readonly health: () => { readonly healthy: boolean; readonly details: Readonly<Record<string, unknown>> };
  readonly isDraining: () => boolean;
}

// Well-known SDKs send a dozen headers. Node's own limit would cut the list silently, and hide what comes after.
const MAX_HEADERS = 64;

/** A request's way: gate → caller → authorisation → answer → audit line. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => undefined); // the client left; `close` follows
    const startMillis = this.#options.clock.monotonicMillis();
    this.#route(request, response, startMillis).catch((err: unknown) => {
      this.#options.logger.error('A request failed unexpectedly', { err });
      if (response.headersSent) response.destroy();
      else sendLocalAnswer(response, internalError('instance'), { close: true });
    });
  }

  async #route(request: IncomingMessage, response: ServerResponse, startMillis: number): Promise<void> {
    const address = sourceAddress(request);
    const { method = '', url: target = '', rawHeaders } = request;
    if (rawHeaders.length > 2 * MAX_HEADERS) {
      sendLocalAnswer(response, badRequest('instance', 'Too many headers'), { close: true });
      this.#audit(
        { address, group: 'none', verdict: 'denied', reason: 'too-many-headers', status: 400 },
        startMillis,
      );
      return;
    }
    const verdict = passGate({ method, target, rawHeaders });
    if (verdict.kind === 'answer') {
      // An unread body must not be taken for the next request.
      const close = this.#options.isDraining() || verdict.reason === 'body' || verdict.reason === 'method';
      sendLocalAnswer(response, verdict.answer, { close });
      const { reason, answer } = verdict;
      // Probes of SDKs are no news.
      if (reason === 'metadata-header-missing') return;
      this.#audit({ address, group: 'none', verdict: 'denied', reason, status: answer.status }, startMillis);
      return;
    }
    if (verdict.request.endpoint.group === 'ready') await this.#answerReady(address, response);
    else await this.#answer(verdict.request, address, request, response, startMillis);
  }

  async #answer(
    gated: GatedRequest,
    address: string,
    request: IncomingMessage,
    response: ServerResponse,
    startMillis: number,
  ): Promise<void> {
    const { requireIdentity, statistics, sources } = this.#options;
    const { group, errorShape } = gated.endpoint;
    const body = await readBody(request, gated.contentLength);
    const resolution = await this.#resolve(address);
    if (resolution.kind === 'unavailable') {
      const answer = serviceUnavailable(errorShape, `Try again: ${resolution.reason}`);
      sendLocalAnswer(response, answer, { close: true });
      this.#audit(
        { address, group, verdict: 'failed', reason: 'caller-unconfirmed', status: 503 },
        startMillis,
      );
      return;
    }
    const caller = resolution.kind === 'known' ? resolution.caller : undefined;
    const record = { address, group, ...(caller && { caller }) };
    const decision = authorize(gated, caller?.grant, { requireIdentity });
    const facts = {
      ...(decision.identity && { identity: decision.identity }),
      ...(decision.resource !== undefined && { resource: decision.resource }),
    };
    if (decision.kind === 'deny') {
      if (caller !== undefined) statistics.count(caller.containerId, decision.reason);
      const { answer, reason } = decision;
      this.#send(response, caller, () =>
        sendLocalAnswer(response, answer, { close: this.#options.isDraining() }),
      );
      this.#audit({ ...record, ...facts, verdict: 'denied', reason, status: answer.status }, startMillis);
      return;
    }
    // Authorisation allows nothing to an address that nobody has; said once more for the type.
    if (caller === undefined || group === 'ready') throw new Error('a request without a caller was allowed');
    statistics.count(caller.containerId);
    try {
      const answer = await sources(group)({ request, response, gated, decision, caller, body });
      this.#send(response, caller, () =>
        sendUpstreamAnswer(response, answer, { close: this.#options.isDraining() }),
      );
      this.#audit({ ...record, ...facts, verdict: 'allowed', status: answer.status }, startMillis);
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) throw error;
      if (!response.destroyed) {
        sendLocalAnswer(response, serviceUnavailable(errorShape, 'The metadata service does not answer'), {
          close: true,
        });
      }
      this.#options.logger.debug('IMDS failed', { err: error, containerId: caller.containerId });
      this.#audit({ ...record, ...facts, verdict: 'failed', reason: code, status: 503 }, startMillis);
    }
  }

  /** Sends, unless the address has changed hands since the request was admitted: the answer is not for its new owner. */
  #send(response: ServerResponse, caller: Caller | undefined, send: () => void): void {
    if (caller !== undefined && !this.#options.table.holds(caller)) response.destroy();
    else send();
  }

  /** The proxy's own path: for wiring checks, for containers that wait for their wiring, and for its health check. */
  async #answerReady(address: string, response: ServerResponse): Promise<void> {
    const answer = isLoopback(address) ? this.#healthAnswer() : readyAnswer(await this.#resolve(address));
    const headers = {
      ...answer.headers,
      [INSTANCE_HEADER]: this.#options.instanceId,
      'Cache-Control': 'no-store',
    };
    sendLocalAnswer(response, { ...answer, headers }, { close: true });
  }

  #healthAnswer(): LocalAnswer {
    const { healthy, details } = this.#options.health();
    return jsonAnswer(healthy ? 200 : 503, { healthy, ...details });
  }

  async #resolve(address: string): Promise<Resolution> {
    const { resolver } = this.#options;
    const caller = resolver.fresh(address);
    return caller === undefined ? await resolver.resolve(address) : { kind: 'known', caller };
  }

  #audit(record: Omit<AuditRecord, 'durationMillis'>, startMillis: number): void {
    const { audit, clock } = this.#options;
    audit.write({ ...record, durationMillis: clock.monotonicMillis() - startMillis });
  }
}

function readyAnswer(resolution: Resolution): LocalAnswer {
  const reason = notReadyReason(resolution);
  return reason === undefined ? jsonAnswer(200, { ready: true }) : jsonAnswer(503, { ready: false, reason });
}

function notReadyReason(resolution: Resolution): string | undefined {
  if (resolution.kind === 'unavailable') return resolution.reason;
  if (resolution.kind === 'nobody') return 'the monitor does not know this address';
  return grantProblem(resolution.caller.grant);
}

function grantProblem(grant: Grant): string | undefined {
  switch (grant.kind) {
    case 'client':
      return undefined;
    case 'refused':
      return `this container is refused: ${grant.reason}`;
    case 'unlabelled':
      return 'this container has no label MSIClientContainer';
  }
}

/** The gate has bounded the length. */
async function readBody(request: IncomingMessage, contentLength: number): Promise<Buffer> {
  if (contentLength === 0) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** IPv4 in its own notation also where the socket listens on IPv6. */
function sourceAddress(request: IncomingMessage): string {
  return (request.socket.remoteAddress ?? '').replace(/^::ffff:/i, '');
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
