import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  INSTANCE_HEADER,
  MsiProxyError,
  type Clock,
  type EndpointGroup,
  type Grant,
  type Logger,
} from '@msi-proxy/shared';
import {
  badRequest,
  internalError,
  jsonAnswer,
  sendLocalAnswer,
  serviceUnavailable,
  throttled,
  type LocalAnswer,
} from '@msi-proxy/shared/http';
import type { AuditLog, AuditRecord } from '../audit.ts';
import { authorize, type Allowed, type AuthorizeOptions } from '../authorize/authorize.ts';
import type { CallerResolver, Resolution } from '../callers/caller-resolver.ts';
import type { CallerStatistics } from '../callers/caller-statistics.ts';
import type { CallerTable } from '../callers/caller-table.ts';
import type { GateVerdict } from '../gate/gate-verdict.ts';
import type { GatedRequest } from '../gate/gated-request.ts';
import { passGate } from '../gate/request-gate.ts';
import { passForm } from '../gate/vm-extension.ts';
import type { Answered, AnswerSource } from './answer-source.ts';
import { sendUpstreamAnswer } from './send-answer.ts';

export interface RequestHandlerOptions {
  readonly instanceId: string;
  readonly table: CallerTable;
  readonly resolver: CallerResolver;
  readonly statistics: CallerStatistics;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly policy: AuthorizeOptions;
  /** Where answers come from, by endpoint group. */
  readonly sources: (group: EndpointGroup | 'versions') => AnswerSource;
  /** What the health check of the proxy's own container is told. */
  readonly health: () => { readonly healthy: boolean; readonly details: Readonly<Record<string, unknown>> };
  readonly isDraining: () => boolean;
  /** Whether connections end with their next answer, so that clients come to another proxy. */
  readonly endsConnections: () => boolean;
}

// Answers are small; a client that reads so slowly holds memory for nothing.
const SEND_TIMEOUT_MILLIS = 10_000;

// Well-known SDKs send a dozen headers. Node's own limit would cut the list silently, and hide what comes after.
const MAX_HEADERS = 64;

/** A request's way: gate → caller → authorisation → answer → audit line. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { clock, logger } = this.#options;
    response.on('error', () => undefined); // the client left; `close` follows
    this.#limitSending(response);
    this.#route(request, response, clock.monotonicMillis()).catch((err: unknown) => {
      logger.error('A request failed unexpectedly', { err });
      if (response.headersSent) response.destroy();
      else sendLocalAnswer(response, internalError('instance'), { close: true });
    });
  }

  /** Answers what needs no caller before it waits for anything: SDKs give their probes some 300 ms. */
  async #route(request: IncomingMessage, response: ServerResponse, startMillis: number): Promise<void> {
    const address = sourceAddress(request);
    const malformed = malformedReason(request);
    if (malformed !== undefined) {
      sendLocalAnswer(response, badRequest('instance', malformed.text), { close: true });
      const { reason } = malformed;
      this.#audit({ address, group: 'none', verdict: 'denied', reason, status: 400 }, startMillis);
      return;
    }
    const verdict = await judge(request);
    if (verdict === undefined) return; // the client left
    if (verdict.kind === 'answer') {
      // A body that is not read must not be taken for the next request.
      const close = this.#options.endsConnections() || announcesBody(request);
      sendLocalAnswer(response, verdict.answer, { close });
      const { reason, answer } = verdict;
      // Probes of SDKs are no news.
      if (reason === 'metadata-header-missing') return;
      this.#audit({ address, group: 'none', verdict: 'denied', reason, status: answer.status }, startMillis);
      return;
    }
    if (verdict.request.endpoint.group === 'ready') await this.#answerReady(address, request, response);
    else await this.#answer(verdict.request, address, request, response, startMillis);
  }

  async #answer(
    gated: GatedRequest,
    address: string,
    request: IncomingMessage,
    response: ServerResponse,
    startMillis: number,
  ): Promise<void> {
    const { policy, statistics, sources } = this.#options;
    const { group, errorShape } = gated.endpoint;
    const body = await readBody(request, gated.contentLength);
    if (body === undefined) return; // the client left
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
    const decision = authorize(gated, caller?.grant, policy);
    const record = {
      address,
      group,
      ...(caller && { caller }),
      ...(decision.askedIdentity && { askedIdentity: decision.askedIdentity }),
      ...(decision.resource !== undefined && { resource: decision.resource }),
    };
    if (decision.kind === 'deny') {
      if (caller !== undefined) statistics.count(caller.containerId, decision.reason);
      const { answer, reason } = decision;
      sendLocalAnswer(response, answer, { close: this.#options.endsConnections() });
      this.#audit({ ...record, verdict: 'denied', reason, status: answer.status }, startMillis);
      return;
    }
    // Authorisation allows nothing to an address that nobody has; said once more for the type.
    if (caller === undefined || group === 'ready') throw new Error('a request without a caller was allowed');
    statistics.count(caller.containerId);
    const used = { ...record, ...(decision.identity && { identity: decision.identity }) };
    try {
      const answered = await sources(group)({ request, response, gated, decision, caller, body });
      if (response.destroyed) {
        this.#audit({ ...used, verdict: 'failed', reason: 'client-left' }, startMillis);
        return;
      }
      if (!this.#options.table.holds(caller)) {
        // The address has changed hands since; the answer is not for its new owner.
        response.destroy();
        this.#audit({ ...used, verdict: 'failed', reason: 'caller-gone' }, startMillis);
        return;
      }
      if (!this.#options.table.isCurrent(caller)) {
        // What it may have has changed: it asks again, and is judged again.
        const answer = serviceUnavailable(errorShape, 'Try again: the policy of this container has changed');
        sendLocalAnswer(response, answer, { close: true });
        this.#audit({ ...used, verdict: 'failed', reason: 'policy-changed', status: 503 }, startMillis);
        return;
      }
      const outcome = this.#send(answered, gated, decision, response);
      if (answered.kind === 'withheld') statistics.refuse(caller.containerId, answered.reason);
      this.#audit({ ...used, ...outcome }, startMillis);
    } catch (err) {
      if (!(err instanceof MsiProxyError)) throw err;
      if (response.destroyed) {
        this.#audit({ ...used, verdict: 'failed', reason: 'client-left' }, startMillis);
        return;
      }
      const answer = serviceUnavailable(errorShape, 'The metadata service does not answer');
      sendLocalAnswer(response, answer, { close: true });
      this.#options.logger.debug('IMDS failed', { err, containerId: caller.containerId });
      this.#audit({ ...used, verdict: 'failed', reason: err.code, status: 503 }, startMillis);
    }
  }

  /** @returns what the audit line says of it */
  #send(
    answered: Answered,
    { endpoint }: GatedRequest,
    decision: Allowed,
    response: ServerResponse,
  ): Pick<AuditRecord, 'verdict' | 'reason' | 'status' | 'via'> {
    const options = { close: this.#options.endsConnections() };
    switch (answered.kind) {
      case 'throttled': {
        const answer = throttled(endpoint.errorShape);
        sendLocalAnswer(response, answer, options);
        return { verdict: 'failed', reason: 'budget', status: answer.status };
      }
      case 'absent': {
        sendLocalAnswer(response, answered.answer, options);
        return { verdict: 'failed', reason: 'no-imds', status: answered.answer.status };
      }
      case 'withheld': {
        const { answer, reason } = answered;
        sendLocalAnswer(response, answer, options);
        return { verdict: 'denied', reason, status: answer.status };
      }
      case 'answer': {
        const { answer, via } = answered;
        sendUpstreamAnswer(response, answer, options);
        const { status } = answer;
        const reason = decision.wouldDeny ?? answered.wouldDeny;
        return reason === undefined
          ? { verdict: 'allowed', status, via }
          : { verdict: 'would-deny', reason, status, via };
      }
    }
  }

  /** The proxy's own path: for wiring checks, for containers that wait for their wiring, and for its health check. */
  async #answerReady(address: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = isFromInside(request) ? this.#healthAnswer() : await this.#readyAnswer(address);
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

  async #readyAnswer(address: string): Promise<LocalAnswer> {
    const reason = this.#options.isDraining()
      ? 'this proxy is stopping'
      : notReadyReason(await this.#options.resolver.resolveSoon(address));
    return reason === undefined
      ? jsonAnswer(200, { ready: true })
      : jsonAnswer(503, { ready: false, reason });
  }

  /** Ends connections to clients that do not read their answer. */
  #limitSending(response: ServerResponse): void {
    response.once('prefinish', () => {
      const timer = this.#options.clock.setTimer(() => response.destroy(), SEND_TIMEOUT_MILLIS);
      response.once('finish', () => timer.cancel());
      response.once('close', () => timer.cancel());
    });
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

function notReadyReason(resolution: Resolution): string | undefined {
  if (resolution.kind === 'unavailable') return resolution.reason;
  if (resolution.kind === 'nobody') return 'this container is not known yet';
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

/** What the gate says of the whole request. @returns `undefined` when the client leaves in the middle */
async function judge(request: IncomingMessage): Promise<GateVerdict | undefined> {
  const { method = '', url: target = '', rawHeaders } = request;
  const verdict = passGate({ method, target, rawHeaders });
  if (verdict.kind !== 'form') return verdict;
  const body = await readBody(request, verdict.contentLength);
  return body && passForm(body);
}

/** The gate has bounded the length. @returns `undefined` when the client leaves in the middle */
async function readBody(request: IncomingMessage, contentLength: number): Promise<Buffer | undefined> {
  if (contentLength === 0) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

/** What makes a request of HTTP's form no request of ours, whatever it asks. */
function malformedReason({
  rawHeaders,
  headers,
  httpVersion,
}: IncomingMessage): { reason: string; text: string } | undefined {
  if (rawHeaders.length > 2 * MAX_HEADERS) return { reason: 'too-many-headers', text: 'Too many headers' };
  // Node's parser takes a request line without a version, and any of HTTP/0.9 and HTTP/2.0, for a request too.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    return { reason: 'http-version', text: 'The version of HTTP is not supported' };
  }
  // Node's own check is off: its answer would have no body, and SDKs parse every body.
  if (httpVersion === '1.1' && headers.host === undefined) {
    return { reason: 'host-missing', text: 'The Host header is missing' };
  }
  return undefined;
}

function announcesBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0);
}

/** IPv4 in its own notation also where the socket listens on IPv6. */
function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/i, '');
}

function sourceAddress({ socket }: IncomingMessage): string {
  return plainAddress(socket.remoteAddress);
}

/** From the proxy's own network namespace: nobody else can ask from the very address that is asked. */
function isFromInside({ socket }: IncomingMessage): boolean {
  return plainAddress(socket.remoteAddress) === plainAddress(socket.localAddress);
}
