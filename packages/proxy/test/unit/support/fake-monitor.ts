import { connect, type Socket } from 'node:net';
import {
  CONTROL_PROTOCOL,
  encodeMessage,
  MessageDecoder,
  PROXY_MESSAGE_TYPES,
  type Caller,
  type Confirmed,
  type MonitorMessage,
  type ProxyMessage,
} from '@msi-proxy/shared';
import { until } from './until.ts';

type Result = Confirmed['result'];

/** The monitor's end of a control session, on the server's socket itself. */
export class FakeMonitor {
  readonly received: ProxyMessage[] = [];
  /** Answers `confirm`; with `undefined` it does not. */
  confirm: (address: string) => Result | undefined;
  readonly #socket: Socket;
  readonly #callers = new Map<string, Caller>();
  #revision = 0;

  constructor(socketPath: string) {
    this.confirm = address => {
      const caller = this.#callers.get(address);
      return caller === undefined ? { kind: 'nobody' } : { kind: 'caller', caller };
    };
    const decoder = new MessageDecoder<ProxyMessage>(PROXY_MESSAGE_TYPES);
    this.#socket = connect(socketPath);
    this.#socket.on('error', () => undefined);
    this.#socket.on('data', chunk => {
      for (const message of decoder.push(chunk)) this.#take(message);
    });
  }

  get isEnded(): boolean {
    return this.#socket.destroyed;
  }

  send(message: MonitorMessage): void {
    this.#socket.write(encodeMessage(message));
  }

  sendText(text: string): void {
    this.#socket.write(text);
  }

  hello(protocol: number = CONTROL_PROTOCOL, sessionId = 'session'): void {
    this.send({ type: 'hello', protocol, sessionId, monitorVersion: '0.0.0' });
  }

  /** Says hello, brings the table, and waits until it is there. */
  async join(callers: readonly Caller[]): Promise<this> {
    this.hello();
    await this.snapshot(callers);
    return this;
  }

  async snapshot(callers: readonly Caller[]): Promise<void> {
    this.#callers.clear();
    for (const caller of callers) this.#callers.set(caller.address, caller);
    this.#revision += 1;
    this.send({ type: 'snapshot', revision: this.#revision, callers });
    await this.#acknowledged();
  }

  async delta(removed: readonly string[], upserted: readonly Caller[]): Promise<void> {
    for (const address of removed) this.#callers.delete(address);
    for (const caller of upserted) this.#callers.set(caller.address, caller);
    this.#revision += 1;
    this.send({ type: 'delta', revision: this.#revision, removed, upserted });
    await this.#acknowledged();
  }

  messages<Type extends ProxyMessage['type']>(type: Type): Extract<ProxyMessage, { type: Type }>[] {
    return this.received.filter(
      (message): message is Extract<ProxyMessage, { type: Type }> => message.type === type,
    );
  }

  leave(): void {
    this.#socket.destroy();
  }

  async #acknowledged(): Promise<void> {
    const revision = this.#revision;
    await until(() => this.messages('ack').some(ack => ack.revision === revision));
  }

  #take(message: ProxyMessage): void {
    this.received.push(message);
    if (message.type !== 'confirm') return;
    const { requestId, address } = message;
    const result = this.confirm(address);
    if (result !== undefined) this.send({ type: 'confirmed', requestId, address, result });
  }
}
