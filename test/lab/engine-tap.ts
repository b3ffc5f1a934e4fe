import { createServer, connect, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/**
 * A Unix socket in front of an engine's, that can cut what runs through it and keep events back: what a busy engine and a
 * bad connection do to a monitor. Bytes pass as they are.
 */
export class EngineTap implements AsyncDisposable {
  readonly socketPath: string;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  readonly #eventStreams = new Set<Socket>();
  #losesEvents = false;

  private constructor(socketPath: string, server: Server) {
    this.socketPath = socketPath;
    this.#server = server;
  }

  static async start(socketPath: string, enginePath: string): Promise<EngineTap> {
    const server = createServer();
    const tap = new EngineTap(socketPath, server);
    server.on('connection', client => tap.#join(client, enginePath));
    server.listen(socketPath);
    await once(server, 'listening');
    return tap;
  }

  get host(): string {
    return `unix://${this.socketPath}`;
  }

  /** How many event streams are open. */
  get eventStreams(): number {
    return this.#eventStreams.size;
  }

  /** From now on (until {@link passEvents}) no event arrives, although the streams stay open. */
  loseEvents(): void {
    this.#losesEvents = true;
  }

  passEvents(): void {
    this.#losesEvents = false;
  }

  /** Ends all event streams, as an engine does that is overloaded. */
  cutEventStreams(): void {
    for (const socket of this.#eventStreams) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #join(client: Socket, enginePath: string): void {
    const engine = connect(enginePath);
    for (const socket of [client, engine]) {
      this.#connections.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#connections.delete(socket);
        this.#eventStreams.delete(socket);
        client.destroy();
        engine.destroy();
      });
    }
    let isEvents = false;
    client.once('data', (head: Buffer) => {
      isEvents = /^GET \S*\/events[? ]/.test(head.toString('latin1'));
      if (isEvents) this.#eventStreams.add(client);
    });
    client.on('data', (chunk: Buffer) => engine.write(chunk));
    client.on('end', () => engine.end());
    let sawHead = false;
    engine.on('data', (chunk: Buffer) => {
      // The head of the answer passes, so that the subscription is taken for one.
      if (isEvents && sawHead && this.#losesEvents) return;
      sawHead = true;
      client.write(chunk);
    });
    engine.on('end', () => client.end());
  }
}
