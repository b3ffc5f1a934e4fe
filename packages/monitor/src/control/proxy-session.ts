import {
  CONTROL_PROTOCOL,
  encodeMessage,
  HEARTBEAT_INTERVAL_MILLIS,
  HEARTBEAT_TIMEOUT_MILLIS,
  MessageDecoder,
  MsiProxyError,
  printable,
  PROXY_MESSAGE_TYPES,
  SILENCE_MILLIS,
  type Clock,
  type Confirmed,
  type GivenToken,
  type Logger,
  type MonitorMessage,
  type ProxyMessage,
  type Report,
  type Role,
  type SetRoute,
  type Timer,
  type Welcome,
} from '@msi-proxy/shared';
import { readProxyMetrics, type ProxyMetricNumbers } from '@msi-proxy/shared/metrics';
import type { ExecStream } from '../docker/index.ts';
import { NO_TOKENS, readKeptTokens, type KeptTokens } from './kept-tokens.ts';

export interface ProxySessionOptions {
  readonly stream: ExecStream;
  readonly sessionId: string;
  readonly monitorVersion: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Finds out who has an address; `undefined` when that cannot be said, and the proxy should go on waiting. */
  readonly confirm: (address: string) => Promise<Confirmed['result'] | undefined>;
  /** Something that others look at has changed: the report, silence. */
  readonly onChange: () => void;
}

// The command starts a Node process in the container, which takes a tenth of a second, or some on a busy machine.
const WELCOME_TIMEOUT_MILLIS = 10_000;
const SET_ROUTE_TIMEOUT_MILLIS = 10_000;

/** What a proxy says of its route names the command that failed and what to do. */
const MAX_ROUTE_PROBLEM_LENGTH = 500;

// Whoever looks at the status does not wait for a proxy that is slow to tell what it keeps.
const TOKENS_TIMEOUT_MILLIS = 500;
/** Asked for no more often than this, however many look. */
const TOKENS_INTERVAL_MILLIS = 2_000;

/** The monitor's end of a control session with one proxy. */
export class ProxySession {
  readonly #options: ProxySessionOptions;
  readonly #decoder = new MessageDecoder<ProxyMessage>(PROXY_MESSAGE_TYPES, {
    onUnknownType: messageType => {
      this.#options.logger.debug('A proxy sends messages that this version does not know', { messageType });
    },
  });
  readonly #welcomed = Promise.withResolvers<Welcome>();
  readonly #routes = new Map<number, PromiseWithResolvers<undefined>>();
  #acknowledged = 0;
  #acknowledgeWaiters: { revision: number; waiter: PromiseWithResolvers<undefined> }[] = [];
  #nextRequestId = 1;
  #lastHeardMillis: number;
  #silent = false;
  #ended = false;
  #pulse: Timer | undefined;
  #report: Report | undefined;
  #metrics: ProxyMetricNumbers = {};
  #tokens: KeptTokens | undefined;
  #tokensAskedAtMillis = -Infinity;
  #tokensAwaited: PromiseWithResolvers<undefined> | undefined;
  /** The last message of it, as text. */
  #role: string | undefined;
  #lastError = '';

  constructor(options: ProxySessionOptions) {
    this.#options = options;
    this.#lastHeardMillis = options.clock.monotonicMillis();
    this.#welcomed.promise.catch(() => undefined);
    const { stream } = options;
    stream.stdout.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.stderr.on('data', (chunk: Buffer) => this.#receiveError(chunk));
    stream.stdin.on('error', () => undefined); // `closed` follows
    void stream.closed.then(() =>
      this.#end(unavailable(this.#lastError === '' ? 'the control stream ended' : this.#lastError)),
    );
  }

  /** What the proxy told last about itself. */
  get report(): Report | undefined {
    return this.#report;
  }

  /** What it measured last. */
  get metrics(): ProxyMetricNumbers {
    return this.#metrics;
  }

  /** Which tokens it kept when {@link refreshTokens} asked last. */
  get tokens(): KeptTokens | undefined {
    return this.#tokens;
  }

  /** Nothing has been heard for a while: the proxy hangs, or the engine, through which the stream runs. */
  get isSilent(): boolean {
    return this.#silent;
  }

  /** Nothing can be sent any more; {@link closed} settles soon. */
  get isOver(): boolean {
    return this.#ended;
  }

  /** Settles when the session is over, for whatever reason. */
  get closed(): Promise<void> {
    return this.#options.stream.closed;
  }

  /**
   * Greets the proxy.
   * @throws {MsiProxyError} `MSI_CONTROL_UNAVAILABLE` or `MSI_CONTROL_PROTOCOL`
   */
  async open(): Promise<Welcome> {
    const { clock, sessionId, monitorVersion } = this.#options;
    this.#send({ type: 'hello', protocol: CONTROL_PROTOCOL, sessionId, monitorVersion });
    const timer = clock.setTimer(
      () => this.#end(unavailable(`no welcome within ${WELCOME_TIMEOUT_MILLIS} ms`)),
      WELCOME_TIMEOUT_MILLIS,
    );
    try {
      const welcome = await this.#welcomed.promise;
      this.#beat();
      return welcome;
    } finally {
      timer.cancel();
    }
  }

  send(message: Extract<MonitorMessage, { type: 'snapshot' | 'delta' | 'witness' }>): void {
    this.#send(message);
  }

  /** @param tokens to one that stands by: what the one that serves keeps */
  setRole(role: 'serving' | 'standby', tokens?: readonly GivenToken[]): void {
    const message: Role = { type: 'role', role, ...(tokens !== undefined && { tokens }) };
    const text = JSON.stringify(message);
    if (text === this.#role) return;
    this.#role = text;
    this.#send(message);
  }

  /** Settles when the proxy has taken this revision of the table; rejects when the session ends before. */
  async acknowledged(revision: number): Promise<void> {
    if (this.#ended) throw unavailable('the session has ended');
    if (this.#acknowledged >= revision) return;
    const waiter = Promise.withResolvers<undefined>();
    this.#acknowledgeWaiters.push({ revision, waiter });
    await waiter.promise;
  }

  /** Moves the proxy's route to IMDS to the network on which it has this address. */
  async setRoute(wanted: Pick<SetRoute, 'address' | 'gateway' | 'holdsImdsAddress'>): Promise<void> {
    if (this.#ended) throw unavailable('the session has ended');
    const requestId = this.#nextRequestId++;
    const waiter = Promise.withResolvers<undefined>();
    this.#routes.set(requestId, waiter);
    const timer = this.#options.clock.setTimer(
      () => waiter.reject(unavailable(`the route was not set within ${SET_ROUTE_TIMEOUT_MILLIS} ms`)),
      SET_ROUTE_TIMEOUT_MILLIS,
    );
    this.#send({ type: 'set-route', requestId, ...wanted });
    try {
      await waiter.promise;
    } finally {
      timer.cancel();
      this.#routes.delete(requestId);
    }
  }

  /** Brings {@link tokens} up to date. Settles when it is, or when that takes too long; asks only now and then. */
  async refreshTokens(): Promise<void> {
    const { clock } = this.#options;
    if (this.#ended || this.#silent) return;
    if (clock.monotonicMillis() - this.#tokensAskedAtMillis >= TOKENS_INTERVAL_MILLIS) {
      this.#tokensAskedAtMillis = clock.monotonicMillis();
      this.#tokensAwaited ??= Promise.withResolvers<undefined>();
      this.#send({ type: 'list-tokens' });
    }
    if (this.#tokensAwaited === undefined) return;
    const late = Promise.withResolvers<undefined>();
    const timer = clock.setTimer(() => late.resolve(undefined), TOKENS_TIMEOUT_MILLIS);
    await Promise.race([this.#tokensAwaited.promise, late.promise]);
    timer.cancel();
  }

  end(): void {
    this.#end(unavailable('the monitor ended the session'));
  }

  #end(reason: MsiProxyError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pulse?.cancel();
    this.#options.stream.destroy();
    this.#welcomed.reject(reason);
    for (const { waiter } of this.#acknowledgeWaiters) waiter.reject(reason);
    for (const waiter of this.#routes.values()) waiter.reject(reason);
    this.#acknowledgeWaiters = [];
    this.#tokensAwaited?.resolve(undefined);
  }

  #send(message: MonitorMessage): void {
    if (!this.#ended) this.#options.stream.stdin.write(encodeMessage(message));
  }

  #beat(): void {
    if (this.#ended) return;
    const { clock, sessionId } = this.#options;
    const quietMillis = clock.monotonicMillis() - this.#lastHeardMillis;
    if (quietMillis > HEARTBEAT_TIMEOUT_MILLIS) {
      this.#end(unavailable('the proxy has not been heard for too long'));
      return;
    }
    this.#setSilent(quietMillis > SILENCE_MILLIS);
    this.#send({ type: 'heartbeat', sessionId });
    this.#pulse = clock.setTimer(() => this.#beat(), HEARTBEAT_INTERVAL_MILLIS);
  }

  #setSilent(silent: boolean): void {
    if (silent === this.#silent) return;
    this.#silent = silent;
    this.#options.onChange();
  }

  #receive(chunk: Buffer): void {
    this.#lastHeardMillis = this.#options.clock.monotonicMillis();
    try {
      for (const message of this.#decoder.push(chunk)) this.#handle(message);
    } catch (error) {
      this.#options.logger.error('A proxy broke the control protocol; its session ends', { err: error });
      this.#end(error instanceof MsiProxyError ? error : unavailable('the session failed'));
      return;
    }
    this.#setSilent(false);
  }

  #receiveError(chunk: Buffer): void {
    this.#lastError = printable(chunk.toString('utf8').trim());
    this.#options.logger.warn(`The control command of a proxy says: ${this.#lastError}`);
  }

  #handle(message: ProxyMessage): void {
    switch (message.type) {
      case 'welcome':
        if (message.protocol !== CONTROL_PROTOCOL) {
          const text = `the proxy speaks protocol ${printable(String(message.protocol))}, this monitor ${CONTROL_PROTOCOL}: run the same version of both`;
          throw new MsiProxyError('MSI_CONTROL_PROTOCOL', text);
        }
        this.#welcomed.resolve(message);
        return;
      case 'ack':
        this.#acknowledge(message.revision);
        return;
      case 'confirm':
        void this.#answerConfirm(message.requestId, message.address);
        return;
      case 'route-set': {
        const waiter = this.#routes.get(message.requestId);
        if (message.ok) waiter?.resolve(undefined);
        else waiter?.reject(unavailable(printable(message.message, MAX_ROUTE_PROBLEM_LENGTH)));
        return;
      }
      case 'report':
        this.#report = message;
        this.#options.onChange();
        return;
      case 'metrics':
        this.#metrics = readProxyMetrics(message.values);
        return;
      case 'tokens':
        this.#tokens = readKeptTokens(
          message.tokens,
          this.#tokens ?? NO_TOKENS,
          this.#options.clock.wallMillis(),
        );
        this.#tokensAwaited?.resolve(undefined);
        this.#tokensAwaited = undefined;
        return;
      case 'heartbeat':
      // What the proxy's own command asks for, over a session of its own.
      case 'callers':
      case 'tokens-flushed':
        return;
    }
  }

  #acknowledge(revision: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, revision);
    const waiters = this.#acknowledgeWaiters;
    this.#acknowledgeWaiters = waiters.filter(entry => entry.revision > this.#acknowledged);
    for (const { revision: awaited, waiter } of waiters)
      if (awaited <= this.#acknowledged) waiter.resolve(undefined);
  }

  async #answerConfirm(requestId: number, address: string): Promise<void> {
    const result = await this.#options.confirm(address).catch((err: unknown) => {
      this.#options.logger.error('An address could not be confirmed', { err, address });
      return undefined;
    });
    if (result !== undefined) this.#send({ type: 'confirmed', requestId, address, result });
  }
}

function unavailable(text: string): MsiProxyError {
  return new MsiProxyError('MSI_CONTROL_UNAVAILABLE', `No control session with the proxy: ${text}`);
}
