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
  type Hello,
  type IdentityRef,
  type Logger,
  type MonitorMessage,
  type ProxyMessage,
  type Role,
  type Timer,
  type Witness,
} from '@msi-proxy/shared';
import type { CallerTable } from '../callers/caller-table.ts';
import type { TokenList } from '../tokens/token-list.ts';
import { confirmByWitness } from './ask-witness.ts';

export interface MonitorSessionOptions {
  readonly socket: Socket;
  readonly table: CallerTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once, with the first message; a throw refuses the session. */
  readonly onHello: (session: MonitorSession, hello: Hello) => void;
  readonly tokens: TokenAdministration;
  readonly onRole: (session: MonitorSession, role: Role) => void;
  /** The control command has moved the route to IMDS. */
  readonly onRouteMoved: () => void;
  /** The session became usable, fell silent, or is heard again. */
  readonly onStateChange: (session: MonitorSession) => void;
  readonly onEnd: (session: MonitorSession) => void;
}

/** The token cache, as far as it is shown and emptied from outside. */
export interface TokenAdministration {
  list(): TokenList;
  flush(identity?: IdentityRef): number;
}

interface Question {
  readonly address: string;
  readonly answer: PromiseWithResolvers<Confirmed['result']>;
  readonly timer: Timer;
}

// Far beyond what anybody waits for an answer; it only keeps lost questions from piling up.
const FORGET_QUESTION_MILLIS = 60_000;

// For the last messages to a peer that reads.
const FLUSH_MILLIS = 1_000;

/** One session of a monitor: brings the callers, answers confirmations. */
export class MonitorSession {
  readonly #options: MonitorSessionOptions;
  readonly #decoder = new MessageDecoder<MonitorMessage>(MONITOR_MESSAGE_TYPES, {
    onUnknownType: messageType => {
      this.#options.logger.debug('The monitor sends messages that this version does not know', {
        messageType,
      });
    },
  });
  readonly #questions = new Map<number, Question>();
  #witness: Witness | undefined;
  #nextRequestId = 1;
  #sessionId: string | undefined;
  #revision: number | undefined;
  /** Heartbeats of our own since the last message. */
  #quietBeats = 0;
  #silent = false;
  #ended = false;
  #pulse: Timer | undefined;

  constructor(options: MonitorSessionOptions) {
    this.#options = options;
  }

  start(): void {
    const { socket } = this.#options;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', () => this.end());
    socket.on('end', () => this.end());
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

  /** Whom the monitor can be asked by past the engine; undefined where it cannot. */
  get witness(): Witness | undefined {
    return this.#witness;
  }

  send(message: ProxyMessage): void {
    if (!this.#ended) this.#options.socket.write(encodeMessage(message));
  }

  async confirm(address: string): Promise<Confirmed['result']> {
    if (this.#ended) throw unavailable('the control session has ended');
    if (this.#silent) {
      const { table, logger } = this.#options;
      return await confirmByWitness(this.#witness, { address, table, logger });
    }
    const requestId = this.#nextRequestId++;
    const answer = Promise.withResolvers<Confirmed['result']>();
    const timer = this.#options.clock.setTimer(() => {
      this.#questions.delete(requestId);
      answer.reject(unavailable('the monitor has not answered'));
    }, FORGET_QUESTION_MILLIS);
    this.#questions.set(requestId, { address, answer, timer });
    this.send({ type: 'confirm', requestId, address });
    return await answer.promise;
  }

  /** What was sent before still arrives. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pulse?.cancel();
    this.#flush();
    for (const { answer, timer } of this.#questions.values()) {
      timer.cancel();
      answer.reject(unavailable('the control session has ended'));
    }
    this.#questions.clear();
    this.#options.onEnd(this);
  }

  #flush(): void {
    const { socket, clock } = this.#options;
    const timer = clock.setTimer(() => socket.destroy(), FLUSH_MILLIS);
    socket.once('close', () => timer.cancel());
    socket.destroySoon();
  }

  /** Sends heartbeats and listens for their absence. */
  #beat(): void {
    // Counted, not measured: a proxy that was paused itself has not listened, and would take its own absence for the
    // monitor's silence while the news wait in the socket.
    const quietMillis = this.#quietBeats * HEARTBEAT_INTERVAL_MILLIS;
    if (quietMillis > HEARTBEAT_TIMEOUT_MILLIS) {
      this.#options.logger.warn('The monitor has not been heard for too long; its session ends');
      this.end();
      return;
    }
    this.#setSilent(quietMillis > SILENCE_MILLIS);
    if (this.#sessionId !== undefined) this.send({ type: 'heartbeat', sessionId: this.#sessionId });
    this.#pulse = this.#options.clock.setTimer(() => {
      this.#quietBeats += 1;
      this.#beat();
    }, HEARTBEAT_INTERVAL_MILLIS);
  }

  #setSilent(silent: boolean): void {
    if (silent === this.#silent) return;
    this.#silent = silent;
    const { logger, onStateChange } = this.#options;
    if (silent) logger.warn('The monitor is silent, as when the Docker engine hangs or the VM is very busy');
    else logger.info('The monitor is heard again');
    onStateChange(this);
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return;
    this.#quietBeats = 0;
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
    const { table, tokens, onHello, onRole } = this.#options;
    if (message.type === 'list-tokens') {
      const { tokens: listed, more } = tokens.list();
      this.send({ type: 'tokens', tokens: listed, ...(more > 0 && { more }) });
      return;
    }
    if (message.type === 'flush-tokens') {
      this.send({ type: 'tokens-flushed', count: tokens.flush(message.identity) });
      return;
    }
    if (message.type === 'list-callers') {
      this.send({ type: 'callers', callers: table.callers });
      return;
    }
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
        for (const caller of message.upserted) table.learn(caller);
        this.#acknowledge(message.revision);
        return;
      case 'confirmed':
        this.#confirmed(message);
        return;
      case 'role':
        onRole(this, message);
        return;
      case 'witness':
        this.#witness = message;
        return;
      case 'heartbeat':
        return;
      case 'set-route':
        this.#options.onRouteMoved();
        return;
    }
  }

  #confirmed({ requestId, result }: Confirmed): void {
    const question = this.#questions.get(requestId);
    if (question === undefined) return; // forgotten
    const { address, answer, timer } = question;
    if (result.kind === 'caller' && result.caller.address !== address) {
      throw protocolError(`asked who has ${address}, the monitor told who has ${result.caller.address}`);
    }
    this.#questions.delete(requestId);
    timer.cancel();
    answer.resolve(result);
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

function unavailable(text: string): MsiProxyError {
  return new MsiProxyError('MSI_CONTROL_UNAVAILABLE', text);
}
