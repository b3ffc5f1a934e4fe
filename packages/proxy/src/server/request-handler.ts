import type { IncomingMessage, ServerResponse } from 'node:http';
import { MsiProxyError, type Caller, type Clock, type EndpointGroup, type Logger } from '@msi-proxy/shared';
import {
  badRequest,
  internalError,
  type LocalAnswer,
  NO_BODY,
  readBody,
  sendLocalAnswer,
  type SendOptions,
  serviceUnavailable,
  throttled,
} from '@msi-proxy/shared/http';
import type { AuditLog, AuditRecord } from '../audit.ts';
import type { Allowed, AuthorizeOptions } from '../authorize/authorize.ts';
import { DecisionMemo } from '../authorize/decision-memo.ts';
import type { CallerResolver } from '../callers/caller-resolver.ts';
import type { CallerStatistics } from '../callers/caller-statistics.ts';
import type { CallerTable } from '../callers/caller-table.ts';
import { BoundedMemo } from '../gate/bounded-memo.ts';
import type { FormVerdict, GateVerdict } from '../gate/gate-verdict.ts';
import type { GatedRequest } from '../gate/gated-request.ts';
import { passGate, readTarget } from '../gate/request-gate.ts';
import { passForm } from '../gate/vm-extension.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import type { Answered, AnswerSource, KeptAnswer } from './answer-source.ts';
import { announcesBody, malformedReason } from './http-form.ts';
import type { ProxyMetrics } from '../metrics/proxy-metrics.ts';
import type { ReadyEndpoint } from './ready-endpoint.ts';
import { sendUpstreamAnswer } from './send-answer.ts';
import { sourceAddress } from './source-address.ts';

export interface RequestHandlerOptions {
  readonly ready: ReadyEndpoint;
  readonly table: CallerTable;
  readonly resolver: CallerResolver;
  readonly statistics: CallerStatistics;
  readonly audit: AuditLog;
  readonly metrics: Pick<ProxyMetrics, 'countRequest'>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly policy: AuthorizeOptions;
  /** Where answers come from, by endpoint group. */
  readonly sources: (group: EndpointGroup | 'versions') => AnswerSource;
  /** What is kept for a request of this container, without asking for anything. */
  readonly keptAnswer: (
    gated: GatedRequest,
    decision: Allowed,
    containerId: string,
  ) => KeptAnswer | undefined;
  /** Whether connections end with their next answer, so that clients come to another proxy. */
  readonly endsConnections: () => boolean;
}

// Answers are small; a client that reads so slowly holds memory for nothing.
const SEND_TIMEOUT_MILLIS = 10_000;

// SDKs ask for the same few targets again and again.
const MEMO_LIMITS = { maxEntries: 1_000, maxLength: 1_024 };

/** What is known of a request when it is answered, for its audit line. */
type Known = Omit<AuditRecord, 'verdict' | 'durationMillis'>;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly address: string;
  readonly startMillis: number;
}

/** An exchange that ends with an answer of a source. */
interface AllowedExchange extends Exchange {
  readonly gated: GatedRequest;
  readonly decision: Allowed;
  readonly caller: Caller;
  readonly known: Known;
}

/**
 * A request's way: gate → caller → authorisation → answer → audit line. What nothing has to be waited for is done at
 * once, without a promise: that is nearly every token request.
 */
export class RequestHandler {
  readonly #options: RequestHandlerOptions;
  readonly #targets = new BoundedMemo(readTarget, MEMO_LIMITS);
  readonly #decisions: DecisionMemo;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
    this.#decisions = new DecisionMemo(options.policy);
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', ignore); // the client left; `close` follows
    const exchange = {
      request,
      response,
      address: sourceAddress(request.socket),
      startMillis: this.#options.clock.monotonicMillis(),
    };
    try {
      this.#route(exchange)?.catch((err: unknown) => this.#fail(exchange, err));
    } catch (err) {
      this.#fail(exchange, err);
    }
  }

  /**
   * What is kept for a GET that the gate let pass, if nothing has to be waited for and nothing is to be said but that
   * answer; `undefined` to handle it as all others.
   */
  kept(gated: GatedRequest, address: string): UpstreamAnswer | undefined {
    try {
      return this.#kept(gated, address);
    } catch {
      return undefined; // the usual way fails likewise, where it is answered and logged
    }
  }

  #kept(gated: GatedRequest, address: string): UpstreamAnswer | undefined {
    const { resolver, statistics, clock, endsConnections, keptAnswer } = this.#options;
    const startMillis = clock.monotonicMillis();
    const caller = endsConnections() ? undefined : resolver.fresh(address);
    if (caller === undefined) return undefined;
    const decision = this.#decisions.decide(gated, caller.grant);
    if (decision.kind === 'deny') return undefined;
    const answered = keptAnswer(gated, decision, caller.containerId);
    if (answered === undefined) return undefined;
    const { answer, via } = answered;
    statistics.count(caller.containerId);
    const { group } = gated.endpoint;
    const { askedIdentity, identity, resource, wouldDeny: reason } = decision;
    const known = { address, group, caller, askedIdentity, identity, resource, reason };
    const verdict = reason === undefined ? 'allowed' : 'would-deny';
    this.#audit({ ...known, status: answer.status, via }, verdict, startMillis);
    return answer;
  }

  #fail({ response }: Exchange, err: unknown): void {
    this.#options.logger.error('A request failed unexpectedly', { err });
    if (response.headersSent) response.destroy();
    else this.#sendLocal(response, internalError('instance'), { close: true });
  }

  /** Answers what needs no caller before it waits for anything: SDKs give their probes some 300 ms. */
  #route(exchange: Exchange): Promise<void> | undefined {
    const { request, response, address, startMillis } = exchange;
    const malformed = malformedReason(request);
    if (malformed !== undefined) {
      this.#sendLocal(response, badRequest('instance', malformed.text), { close: true });
      const { reason } = malformed;
      this.#audit({ address, group: 'none', reason, status: 400 }, 'denied', startMillis);
      return undefined;
    }
    const { method = '', url: target = '', rawHeaders } = request;
    const verdict = passGate({ method, target, rawHeaders }, text => this.#targets.get(text));
    return verdict.kind === 'form' ? this.#judgeForm(verdict, exchange) : this.#judged(verdict, exchange);
  }

  async #judgeForm({ contentLength }: FormVerdict, exchange: Exchange): Promise<void> {
    const body = await readBody(exchange.request, contentLength);
    if (body !== undefined) await this.#judged(passForm(body), exchange); // else the client left
  }

  #judged(verdict: GateVerdict, exchange: Exchange): Promise<void> | undefined {
    const { request, response, address, startMillis } = exchange;
    if (verdict.kind === 'answer') {
      // A body that is not read must not be taken for the next request.
      const close = this.#options.endsConnections() || announcesBody(request);
      this.#sendLocal(response, verdict.answer, { close });
      const { reason, answer } = verdict;
      // Probes of SDKs are no news.
      if (reason === 'metadata-header-missing') return undefined;
      this.#audit({ address, group: 'none', reason, status: answer.status }, 'denied', startMillis);
      return undefined;
    }
    const gated = verdict.request;
    if (gated.endpoint.group === 'ready') return this.#answerReady(exchange);
    const caller = gated.contentLength === 0 ? this.#options.resolver.fresh(address) : undefined;
    if (caller === undefined) return this.#resolve(gated, exchange);
    return this.#decide(gated, caller, NO_BODY, exchange);
  }

  async #resolve(gated: GatedRequest, exchange: Exchange): Promise<void> {
    const { request, response, address, startMillis } = exchange;
    const { group, errorShape } = gated.endpoint;
    const body = await readBody(request, gated.contentLength);
    if (body === undefined) return; // the client left
    const resolution = await this.#options.resolver.resolve(address);
    if (resolution.kind === 'unavailable') {
      const answer = serviceUnavailable(errorShape, `Try again: ${resolution.reason}`);
      this.#sendLocal(response, answer, { close: true });
      this.#audit({ address, group, reason: 'caller-unconfirmed', status: 503 }, 'failed', startMillis);
      return;
    }
    const caller = resolution.kind === 'known' ? resolution.caller : undefined;
    await this.#decide(gated, caller, body, exchange);
  }

  #decide(
    gated: GatedRequest,
    caller: Caller | undefined,
    body: Buffer,
    exchange: Exchange,
  ): Promise<void> | undefined {
    const { statistics, sources } = this.#options;
    const { request, response, address, startMillis } = exchange;
    const { group } = gated.endpoint;
    const decision = this.#decisions.decide(gated, caller?.grant);
    const { askedIdentity, resource } = decision;
    if (decision.kind === 'deny') {
      if (caller !== undefined) statistics.count(caller.containerId, decision.reason);
      const { answer, reason } = decision;
      this.#sendLocal(response, answer, { close: this.#options.endsConnections() });
      const { status } = answer;
      const known = { address, group, caller, askedIdentity, resource, reason, status };
      this.#audit(known, 'denied', startMillis);
      return undefined;
    }
    // Authorisation allows nothing to an address that nobody has; said once more for the type.
    if (caller === undefined || group === 'ready') throw new Error('a request without a caller was allowed');
    statistics.count(caller.containerId);
    const allowed: AllowedExchange = {
      ...exchange,
      gated,
      decision,
      caller,
      known: { address, group, caller, askedIdentity, identity: decision.identity, resource },
    };
    let answered: Answered | Promise<Answered>;
    try {
      answered = sources(group)({ request, response, gated, decision, caller, body });
    } catch (err) {
      this.#answerFailure(err, allowed);
      return undefined;
    }
    if (answered instanceof Promise) return this.#await(answered, allowed);
    this.#answer(answered, allowed);
    return undefined;
  }

  async #await(answering: Promise<Answered>, allowed: AllowedExchange): Promise<void> {
    let answered: Answered;
    try {
      answered = await answering;
    } catch (err) {
      this.#answerFailure(err, allowed);
      return;
    }
    this.#answer(answered, allowed);
  }

  #answerFailure(err: unknown, { gated, caller, known, response, startMillis }: AllowedExchange): void {
    if (!(err instanceof MsiProxyError)) throw err;
    if (response.destroyed) {
      this.#audit({ ...known, reason: 'client-left' }, 'failed', startMillis);
      return;
    }
    const answer = serviceUnavailable(gated.endpoint.errorShape, 'The metadata service does not answer');
    this.#sendLocal(response, answer, { close: true });
    this.#options.logger.debug('IMDS failed', { err, containerId: caller.containerId });
    this.#audit({ ...known, reason: err.code, status: 503 }, 'failed', startMillis);
  }

  #answer(answered: Answered, allowed: AllowedExchange): void {
    const { gated, caller, known, response, startMillis } = allowed;
    const { table, statistics } = this.#options;
    if (response.destroyed) {
      this.#audit({ ...known, reason: 'client-left' }, 'failed', startMillis);
      return;
    }
    if (!table.holds(caller)) {
      // The address has changed hands since; the answer is not for its new owner.
      response.destroy();
      this.#audit({ ...known, reason: 'caller-gone' }, 'failed', startMillis);
      return;
    }
    if (!table.isCurrent(caller)) {
      // What it may have has changed: it asks again, and is judged again.
      const text = 'Try again: the policy of this container has changed';
      this.#sendLocal(response, serviceUnavailable(gated.endpoint.errorShape, text), { close: true });
      this.#audit({ ...known, reason: 'policy-changed', status: 503 }, 'failed', startMillis);
      return;
    }
    if (answered.kind === 'withheld') statistics.refuse(caller.containerId, answered.reason);
    this.#send(answered, allowed);
  }

  #send(answered: Answered, { gated, decision, known, response, startMillis }: AllowedExchange): void {
    const options = { close: this.#options.endsConnections() };
    switch (answered.kind) {
      case 'throttled': {
        const answer = throttled(gated.endpoint.errorShape);
        this.#sendLocal(response, answer, options);
        this.#audit({ ...known, reason: 'budget', status: answer.status }, 'failed', startMillis);
        return;
      }
      case 'absent': {
        const { answer } = answered;
        this.#sendLocal(response, answer, options);
        this.#audit({ ...known, reason: 'no-imds', status: answer.status }, 'failed', startMillis);
        return;
      }
      case 'withheld': {
        const { answer, reason } = answered;
        this.#sendLocal(response, answer, options);
        this.#audit({ ...known, reason, status: answer.status }, 'denied', startMillis);
        return;
      }
      case 'answer': {
        const { answer, via } = answered;
        sendUpstreamAnswer(response, answer, options);
        this.#limitSending(response);
        const { status } = answer;
        const reason = decision.wouldDeny ?? answered.wouldDeny;
        const verdict = reason === undefined ? 'allowed' : 'would-deny';
        this.#audit({ ...known, reason, status, via }, verdict, startMillis);
      }
    }
  }

  async #answerReady({ address, request, response }: Exchange): Promise<void> {
    const answer = await this.#options.ready.answer(address, request);
    this.#sendLocal(response, answer, { close: true });
  }

  #sendLocal(response: ServerResponse, answer: LocalAnswer, options: SendOptions): void {
    sendLocalAnswer(response, answer, options);
    this.#limitSending(response);
  }

  /** Ends connections to clients that do not read their answer. */
  #limitSending(response: ServerResponse): void {
    // The kernel has taken all of it.
    if (response.socket?.writableLength === 0) return;
    const timer = this.#options.clock.setTimer(() => response.destroy(), SEND_TIMEOUT_MILLIS);
    response.once('finish', () => timer.cancel());
    response.once('close', () => timer.cancel());
  }

  #audit(known: Known, verdict: AuditRecord['verdict'], startMillis: number): void {
    const { audit, clock, metrics } = this.#options;
    const record = { ...known, verdict, durationMillis: clock.monotonicMillis() - startMillis };
    metrics.countRequest(record);
    audit.write(record);
  }
}

function ignore(): void {}
