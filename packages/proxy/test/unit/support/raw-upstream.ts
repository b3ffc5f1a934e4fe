import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A request as its bytes arrived, up to the end of its head. */
export interface SeenRequest {
  /** Head and what had arrived of the body. */
  readonly text: string;
  readonly socket: Socket;
  /** Which connection it came over, counted from 0. */
  readonly connection: number;
}

export type Respond = (request: SeenRequest) => void;

/** Stands in for IMDS: shows every byte that arrives, and answers with any bytes, or none. */
export class RawUpstream {
  readonly requests: SeenRequest[] = [];
  readonly sockets: Socket[] = [];
  bytesReceived = 0;
  respond: Respond = request => request.socket.write(answerText('{"ok":true}'));
  readonly #server: Server;

  constructor() {
    this.#server = createServer(socket => this.#accept(socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get openSockets(): number {
    return this.sockets.filter(socket => !socket.destroyed).length;
  }

  async start(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
  }

  async stop(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    const connection = this.sockets.push(socket) - 1;
    let pending = '';
    socket.on('error', () => undefined);
    socket.on('data', chunk => {
      this.bytesReceived += chunk.length;
      pending += chunk.toString('latin1');
      const headEnd = pending.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      const length = Number(/^content-length: (\d+)\r$/im.exec(pending.slice(0, headEnd + 2))?.[1] ?? 0);
      if (pending.length < headEnd + 4 + length) return;
      const request = { text: pending, socket, connection };
      pending = '';
      this.requests.push(request);
      this.respond(request);
    });
  }
}

export function answerText(
  body: string,
  { status = '200 OK', headers = [] as readonly string[] } = {},
): string {
  const lines = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json; charset=utf-8',
    'Server: IMDS/150.870.65.1854',
    'Date: Thu, 01 Jan 2026 00:00:00 GMT',
    ...headers,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return [...lines, '', body].join('\r\n');
}
