import { createServer, connect, type Server, type Socket } from 'node:net';

/** One TCP connection that reached the address of IMDS, and what was sent to it. */
export interface TappedConnection {
  readonly remoteAddress: string;
  /** The bytes as Latin-1 text, one character each. */
  readonly received: string;
  /** All bytes that came, also beyond what is kept of them. */
  readonly receivedBytes: number;
}

const KEPT_BYTES_OF_A_CONNECTION = 64 * 1024;
const KEPT_CONNECTIONS = 10_000;

/** A TCP forwarder that keeps what it forwards: it shows what reached IMDS, and that nothing did. */
export class ByteTap {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  #connections: { remoteAddress: string; received: string; receivedBytes: number }[] = [];

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, socket => this.#forward(socket));
  }

  get connections(): readonly TappedConnection[] {
    return this.#connections;
  }

  reset(): void {
    this.#connections = [];
  }

  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(port, host, resolve);
    });
  }

  #forward(client: Socket): void {
    const record = { remoteAddress: client.remoteAddress ?? '', received: '', receivedBytes: 0 };
    if (this.#connections.length < KEPT_CONNECTIONS) this.#connections.push(record);
    const upstream = connect({ ...this.#target, allowHalfOpen: true });
    client.on('data', (chunk: Buffer) => {
      record.receivedBytes += chunk.length;
      record.received += chunk.toString('latin1', 0, KEPT_BYTES_OF_A_CONNECTION - record.received.length);
    });
    client.pipe(upstream).pipe(client);
    passOnReset(client, upstream);
    passOnReset(upstream, client);
  }
}

/** What broke on one side breaks on the other side, as it would without a tap between them. */
function passOnReset(from: Socket, to: Socket): void {
  from.on('error', () => to.resetAndDestroy());
  from.on('close', hadError => {
    if (hadError) to.resetAndDestroy();
    else to.end();
  });
}
