import type { Socket } from 'node:net';
import {
  encodeMessage,
  HEARTBEAT_INTERVAL_MILLIS,
  HEARTBEAT_TIMEOUT_MILLIS,
  MessageDecoder,
  MONITOR_MESSAGE_TYPES,
  MsiProxyError,
  SILENCE_MILLIS,
  type Clock,
  type Confirmed,
  type Logger,
  type MonitorMessage,
  type ProxyMessage,
  type Timer,
} from '@msi-proxy/shared';
import type { CallerTable } from '../callers/caller-table.ts';

export interface MonitorSessionOptions {
  readonly socket: Socket;
  readonly table: CallerTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once, with the first message; a throw refuses the session. */
  readonly onHello: (session: MonitorSession, hello: Extract<MonitorMessage, { type: 'hello' }>) => void;
  readonly onRole: (role: 'serving' | 'standby') => void;
  /** The session became usable, fell silent, or is heard again. */
  readonly onStateChange: (session: MonitorSession) => void;
  readonly onEnd: (session: MonitorSession) => void;
}

/** One session of a monitor: brings the callers, answers confirmations. */
export class MonitorSession {
  readonly #options: MonitorSessionOptions;
  readonly #decoder = new MessageDecoder<MonitorMessage>(MONITOR_MESSAGE_TYPES);
  readonly #questions = new Map<number, PromiseWithResolvers<Confirmed['result']>>();
  #nextRequestId = 1;
  #sessionId: string | undefined;
  #revision: number | undefined;
  #lastHeardMillis: number;
  #silent = false;
  #ended = false;
  #pulse: Timer | undefined;

  constructor(options: MonitorSessionOptions) {
    this.#options = options;
    this.#lastHeardMillis = options.clock.monotonicMillis();
  }

  start(): void {
    const { socket } = this.#options;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', () => this.end());
    this.#beat();
  }

  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /** The monitor's table has arrived, so that addresses that are not in it belong to nobody. */
  get isSynchronized(): boolean {
    return this.#revision !== undefined;
  }

  get isSilent(): boolean {
    return this.#silent;
  }

  send(message: ProxyMessage): void {
    if (!this.#ended) this.#options.socket.write(encodeMessage(message));
  }

  confirm(address: string): Promise<Confirmed['result']> {
    const question = Promise.withResolvers<Confirmed['result']>();
    if (this.#ended) {
      question.reject(sessionEnded());
      return question.promise;
    }
    const requestId = this.#nextRequestId++;
    this.#questions.set(requestId, question);
    this.send({ type: 'confirm', requestId, address });
    return question.promise;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pulse?.cancel();
    this.#options.socket.destroy();
    for (const question of this.#questions.values()) question.reject(sessionEnded());
    this.#questions.clear();
    this.#options.onEnd(this);
  }

  /** Sends heartbeats and listens for their absence. */
  #beat(): void {
    const { clock } = this.#options;
    const quietMillis = clock.monotonicMillis() - this.#lastHeardMillis;
    if (quietMillis > HEARTBEAT_TIMEOUT_MILLIS) {
      this.#options.logger.warn('The monitor has not been heard for too long; its session ends');
      this.end();
      return;
    }
    this.#setSilent(quietMillis > SILENCE_MILLIS);
    if (this.#sessionId !== undefined) this.send({ type: 'heartbeat', sessionId: this.#sessionId });
    this.#pulse = clock.setTimer(() => this.#beat(), HEARTBEAT_INTERVAL_MILLIS);
  }

  #setSilent(silent: boolean): void {
    if (silent === this.#silent) return;
    this.#silent = silent;
    const { logger, onStateChange } = this.#options;
    if (silent) logger.warn('The monitor is silent; recently confirmed callers are served');
    else logger.info('The monitor is heard again');
    onStateChange(this);
  }

  #receive(chunk: Buffer): void {
    this.#lastHeardMillis = this.#options.clock.monotonicMillis();
    try {
      for (const message of this.#decoder.push(chunk)) this.#handle(message);
    } catch (err) {
      this.#options.logger.error('The control session broke the protocol and ends', { err });
      this.end();
      return;
    }
    this.#setSilent(false);
  }

  #handle(message: MonitorMessage): void {
    const { table, onHello, onRole } = this.#options;
    if (this.#sessionId === undefined) {
      if (message.type !== 'hello')
        throw protocolError(`the first message is "${message.type}" instead of "hello"`);
      onHello(this, message);
      this.#sessionId = message.sessionId;
      return;
    }
    switch (message.type) {
      case 'hello':
        throw protocolError('a second "hello" in one session');
      case 'snapshot':
        table.replaceAll(message.callers);
        this.#acknowledge(message.revision);
        return;
      case 'delta':
        if (this.#revision === undefined || message.revision !== this.#revision + 1) {
          throw protocolError(
            `revision ${message.revision} does not follow ${this.#revision ?? 'a snapshot'}`,
          );
        }
        for (const address of message.removed) table.remove(address);
        for (const caller of message.upserted) table.confirm(caller);
        this.#acknowledge(message.revision);
        return;
      case 'confirmed':
        this.#questions.get(message.requestId)?.resolve(message.result);
        this.#questions.delete(message.requestId);
        return;
      case 'role':
        onRole(message.role);
        return;
      case 'heartbeat':
        return;
      case 'set-route':
        throw protocolError('"set-route" is for the control command, which did not take it');
    }
  }

  #acknowledge(revision: number): void {
    const isFirst = this.#revision === undefined;
    this.#revision = revision;
    this.send({ type: 'ack', revision });
    if (isFirst) this.#options.onStateChange(this);
  }
}

function protocolError(text: string): MsiProxyError {
  return new MsiProxyError('MSI_CONTROL_PROTOCOL', text);
}

function sessionEnded(): MsiProxyError {
  return new MsiProxyError('MSI_CONTROL_UNAVAILABLE', 'the control session has ended');
}
