import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { MsiProxyError, type Caller, type Clock, type EndpointGroup, type Logger } from '@msi-proxy/shared';
import {
  badRequest,
  internalError,
  type FastReply,
  NO_BODY,
  readBody,
  serviceUnavailable,
  throttled,
} from '@msi-proxy/shared/http';
import type { AuditLog, AuditRecord } from '../audit.ts';
import type { Allowed, AuthorizeOptions } from '../authorize/authorize.ts';
import { DecisionMemo } from '../authorize/decision-memo.ts';
import type { CallerResolver, Resolution } from '../callers/caller-resolver.ts';
import type { CallerStatistics } from '../callers/caller-statistics.ts';
import type { CallerTable } from '../callers/caller-table.ts';
import { BoundedMemo } from '../gate/bounded-memo.ts';
import type { FormVerdict, GateVerdict } from '../gate/gate-verdict.ts';
import type { GatedRequest } from '../gate/gated-request.ts';
import { passGate, readTarget } from '../gate/request-gate.ts';
import { passForm } from '../gate/vm-extension.ts';
import type {
  Answered,
  AnswerReceiver,
  AnswerSource,
  AuthorizedRequest,
  KeptAnswer,
} from './answer-source.ts';
import { announcesBody, malformedReason } from './http-form.ts';
import type { ProxyMetrics } from '../metrics/proxy-metrics.ts';
import type { ReadyEndpoint } from './ready-endpoint.ts';
import { KnownReply, ServerReply, type Reply } from './reply.ts';
import { wireText } from './send-answer.ts';
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

// SDKs ask for the same few targets again and again.
const MEMO_LIMITS = { maxEntries: 1_000, maxLength: 1_024 };

/** What is known of a request when it is answered, for its audit line. */
type Known = Omit<AuditRecord, 'verdict' | 'durationMillis'>;

/** A GET that came before, to the byte: what the gate and Node made of it. */
export interface KnownRequest {
  readonly gated: GatedRequest;
  readonly headers: IncomingHttpHeaders;
}

/** A request under way. */
interface Exchange {
  readonly reply: Reply;
  readonly address: string;
  readonly startMillis: number;
}

/** One that came through Node's parser. */
interface ServerExchange extends Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** One that ends with an answer of a source. */
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
    const { clock } = this.#options;
    const exchange = {
      request,
      response,
      reply: new ServerReply(response, clock),
      address: sourceAddress(request.socket),
      startMillis: clock.monotonicMillis(),
    };
    try {
      this.#route(exchange)?.catch((err: unknown) => this.#fail(exchange, err));
    } catch (err) {
      this.#fail(exchange, err);
    }
  }

  /**
   * Answers a GET that the gate let pass before, at once with what is kept or later, if it is known who asks and nothing is
   * to be refused.
   *
   * @param close whether the connection ends with the answer
   * @param later gives what takes an answer that is waited for
   * @returns the answer, or what `later` gave, or `undefined` to handle it as all others
   */
  known(
    request: KnownRequest,
    address: string,
    { close, later }: { readonly close: boolean; readonly later: () => FastReply },
  ): string | FastReply | undefined {
    const { resolver, clock, endsConnections, keptAnswer } = this.#options;
    const { gated } = request;
    const startMillis = clock.monotonicMillis();
    let kept: KeptAnswer | undefined;
    let caller: Caller | undefined;
    let decision;
    try {
      caller = endsConnections() ? undefined : resolver.fresh(address);
      if (caller === undefined) return undefined;
      decision = this.#decisions.decide(gated, caller.grant);
      if (decision.kind === 'deny') return undefined;
      kept = keptAnswer(gated, decision, caller.containerId);
    } catch {
      return undefined; // the usual way fails likewise, where it is answered and logged
    }
    if (kept === undefined)
      return this.#answerLater(request, caller, decision, { address, startMillis, later });
    const { answer, via } = kept;
    this.#options.statistics.count(caller.containerId);
    const { askedIdentity, identity, resource, wouldDeny: reason } = decision;
    const { group } = gated.endpoint;
    const known = { address, group, caller, askedIdentity, identity, resource, reason };
    const verdict = reason === undefined ? 'allowed' : 'would-deny';
    this.#audit({ ...known, status: answer.status, via }, verdict, startMillis);
    return wireText(answer, close);
  }

  #answerLater(
    { gated, headers }: KnownRequest,
    caller: Caller,
    decision: Allowed,
    {
      address,
      startMillis,
      later,
    }: {
      readonly address: string;
      readonly startMillis: number;
      readonly later: () => FastReply;
    },
  ): FastReply {
    const fast = later();
    const exchange = { reply: new KnownReply(fast), address, startMillis };
    try {
      this.#ask({ gated, decision, caller, body: NO_BODY, headers }, exchange);
    } catch (err) {
      this.#fail(exchange, err);
    }
    return fast;
  }

  #fail({ reply }: Exchange, err: unknown): void {
    this.#options.logger.error('A request failed unexpectedly', { err });
    if (reply.hasBegun) reply.destroy();
    else reply.sendLocal(internalError('instance'), { close: true });
  }

  /** Answers what needs no caller before it waits for anything: SDKs give their probes some 300 ms. */
  #route(exchange: ServerExchange): Promise<void> | undefined {
    const { request, reply, address, startMillis } = exchange;
    const malformed = malformedReason(request);
    if (malformed !== undefined) {
      reply.sendLocal(badRequest('instance', malformed.text), { close: true });
      const { reason } = malformed;
      this.#audit({ address, group: 'none', reason, status: 400 }, 'denied', startMillis);
      return undefined;
    }
    const { method = '', url: target = '', rawHeaders } = request;
    const verdict = passGate({ method, target, rawHeaders }, text => this.#targets.get(text));
    return verdict.kind === 'form' ? this.#judgeForm(verdict, exchange) : this.#judged(verdict, exchange);
  }

  async #judgeForm({ contentLength }: FormVerdict, exchange: ServerExchange): Promise<void> {
    const body = await readBody(exchange.request, contentLength);
    if (body !== undefined) await this.#judged(passForm(body), exchange); // else the client left
  }

  #judged(verdict: GateVerdict, exchange: ServerExchange): Promise<void> | undefined {
    const { request, reply, address, startMillis } = exchange;
    if (verdict.kind === 'answer') {
      // A body that is not read must not be taken for the next request.
      const close = this.#options.endsConnections() || announcesBody(request);
      reply.sendLocal(verdict.answer, { close });
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
    this.#decide(gated, caller, NO_BODY, exchange);
    return undefined;
  }

  async #resolve(gated: GatedRequest, exchange: ServerExchange): Promise<void> {
    const { request, reply, address, startMillis } = exchange;
    const { group, errorShape } = gated.endpoint;
    const body = await readBody(request, gated.contentLength);
    if (body === undefined) return; // the client left
    const resolution = await this.#options.resolver.resolve(address, reply);
    if (reply.hasLeft) {
      this.#audit({ address, group, reason: 'client-left' }, 'failed', startMillis);
      return;
    }
    if (resolution.kind === 'unavailable') {
      const answer = serviceUnavailable(errorShape, `Try again: ${resolution.reason}`);
      reply.sendLocal(answer, { close: true });
      this.#audit({ address, group, reason: 'caller-unconfirmed', status: 503 }, 'failed', startMillis);
      return;
    }
    const caller = resolution.kind === 'known' ? resolution.caller : undefined;
    this.#decide(gated, caller, body, exchange);
  }

  #decide(gated: GatedRequest, caller: Caller | undefined, body: Buffer, exchange: ServerExchange): void {
    const { statistics } = this.#options;
    const { request, reply, address, startMillis } = exchange;
    const { group } = gated.endpoint;
    const decision = this.#decisions.decide(gated, caller?.grant);
    if (decision.kind === 'deny') {
      if (caller !== undefined) statistics.count(caller.containerId, decision.reason);
      const { answer, reason, askedIdentity, resource } = decision;
      reply.sendLocal(answer, { close: this.#options.endsConnections() });
      const { status } = answer;
      const known = { address, group, caller, askedIdentity, resource, reason, status };
      this.#audit(known, 'denied', startMillis);
      return;
    }
    // Authorisation allows nothing to an address that nobody has; said once more for the type.
    if (caller === undefined) throw new Error('a request without a caller was allowed');
    this.#ask({ gated, decision, caller, body, headers: request.headers, exchange }, exchange);
  }

  #ask(asked: Omit<AuthorizedRequest, 'client'>, { reply, address, startMillis }: Exchange): void {
    const { statistics, sources } = this.#options;
    const { gated, decision, caller } = asked;
    const { group } = gated.endpoint;
    if (group === 'ready') throw new Error('the ready path is not asked of IMDS');
    statistics.count(caller.containerId);
    const { askedIdentity, identity, resource } = decision;
    const known = { address, group, caller, askedIdentity, identity, resource };
    const allowed: AllowedExchange = { reply, address, startMillis, gated, decision, caller, known };
    const receiver: AnswerReceiver = {
      answered: answered => this.#guarded(allowed, () => this.#answerAwaited(answered, allowed)),
      failed: err => this.#guarded(allowed, () => this.#answerFailure(err, allowed)),
    };
    let answered: ReturnType<AnswerSource>;
    try {
      answered = sources(group)({ ...asked, client: reply });
    } catch (err) {
      receiver.failed(err);
      return;
    }
    if (answered instanceof Promise) {
      answered.then(
        each => receiver.answered(each),
        (err: unknown) => receiver.failed(err),
      );
    } else if (answered.kind === 'shared') answered.tell(receiver);
    else this.#guarded(allowed, () => this.#answer(answered, allowed));
  }

  #guarded(exchange: Exchange, action: () => void): void {
    try {
      action();
    } catch (err) {
      this.#fail(exchange, err);
    }
  }

  #answerFailure(err: unknown, allowed: AllowedExchange): void {
    if (!(err instanceof MsiProxyError)) throw err;
    if (this.#isOver(allowed)) return;
    const { gated, caller, known, reply, startMillis } = allowed;
    const answer = serviceUnavailable(gated.endpoint.errorShape, 'The metadata service does not answer');
    reply.sendLocal(answer, { close: true });
    this.#options.logger.debug('IMDS failed', { err, containerId: caller.containerId });
    this.#audit({ ...known, reason: err.code, status: 503 }, 'failed', startMillis);
  }

  /**
   * While IMDS was asked, the address may have changed hands, and the event that says so may be lost: who is to have the
   * answer is confirmed as who asked was.
   */
  #answerAwaited(answered: Answered, allowed: AllowedExchange): void {
    const { resolver, table } = this.#options;
    const { address, caller, reply } = allowed;
    const isForCaller = answered.kind === 'answer' && table.isCurrent(caller) && !reply.hasLeft;
    if (!isForCaller || resolver.isConfirmed(address)) {
      this.#answer(answered, allowed);
      return;
    }
    resolver.resolve(address, reply).then(
      resolution => this.#guarded(allowed, () => this.#answerResolved(answered, resolution, allowed)),
      (err: unknown) => this.#fail(allowed, err),
    );
  }

  #answerResolved(answered: Answered, resolution: Resolution, allowed: AllowedExchange): void {
    const { gated, known, reply, startMillis } = allowed;
    if (resolution.kind !== 'unavailable' || reply.hasLeft) {
      this.#answer(answered, allowed); // by the table, which has what the monitor said
      return;
    }
    const text = `Try again: ${resolution.reason}`;
    reply.sendLocal(serviceUnavailable(gated.endpoint.errorShape, text), { close: true });
    this.#audit({ ...known, reason: 'caller-unconfirmed', status: 503 }, 'failed', startMillis);
  }

  #answer(answered: Answered, allowed: AllowedExchange): void {
    if (this.#isOver(allowed)) return;
    const { statistics } = this.#options;
    const { caller } = allowed;
    if (answered.kind === 'withheld') statistics.refuse(caller.containerId, answered.reason);
    this.#send(answered, allowed);
  }

  /** Nobody is to have an answer of IMDS, or not for what was decided; whoever is there still is told so. */
  #isOver({ gated, caller, known, reply, startMillis }: AllowedExchange): boolean {
    const { table } = this.#options;
    if (reply.hasLeft) {
      this.#audit({ ...known, reason: 'client-left' }, 'failed', startMillis);
      return true;
    }
    if (!table.holds(caller)) {
      // The address has changed hands since; the answer is not for its new owner.
      reply.destroy();
      this.#audit({ ...known, reason: 'caller-gone' }, 'failed', startMillis);
      return true;
    }
    if (!table.isCurrent(caller)) {
      // What it may have has changed: it asks again, and is judged again.
      const text = 'Try again: the policy of this container has changed';
      reply.sendLocal(serviceUnavailable(gated.endpoint.errorShape, text), { close: true });
      this.#audit({ ...known, reason: 'policy-changed', status: 503 }, 'failed', startMillis);
      return true;
    }
    return false;
  }

  #send(answered: Answered, { gated, decision, known, reply, startMillis }: AllowedExchange): void {
    const options = { close: this.#options.endsConnections() };
    switch (answered.kind) {
      case 'throttled': {
        const answer = throttled(gated.endpoint.errorShape);
        reply.sendLocal(answer, options);
        this.#audit({ ...known, reason: 'budget', status: answer.status }, 'failed', startMillis);
        return;
      }
      case 'absent': {
        const { answer } = answered;
        reply.sendLocal(answer, options);
        this.#audit({ ...known, reason: 'no-imds', status: answer.status }, 'failed', startMillis);
        return;
      }
      case 'withheld': {
        const { answer, reason } = answered;
        reply.sendLocal(answer, options);
        this.#audit({ ...known, reason, status: answer.status }, 'denied', startMillis);
        return;
      }
      case 'answer': {
        const { answer, via } = answered;
        reply.sendUpstream(answer, { ...options, isShared: via !== 'upstream' });
        const { status } = answer;
        const reason = decision.wouldDeny ?? answered.wouldDeny;
        const verdict = reason === undefined ? 'allowed' : 'would-deny';
        this.#audit({ ...known, reason, status, via }, verdict, startMillis);
      }
    }
  }

  async #answerReady({ address, request, reply }: ServerExchange): Promise<void> {
    const answer = await this.#options.ready.answer(address, request);
    reply.sendLocal(answer, { close: true });
  }

  #audit(known: Known, verdict: AuditRecord['verdict'], startMillis: number): void {
    const { audit, clock, metrics } = this.#options;
    const record = { ...known, verdict, durationMillis: clock.monotonicMillis() - startMillis };
    metrics.countRequest(record);
    audit.write(record);
  }
}

function ignore(): void {}
