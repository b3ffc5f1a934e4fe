import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { codeOf, messageOf, MsiProxyError, type Clock, type HostPort, type Logger } from '@msi-proxy/shared';
import { badRequest } from '../answers/imds-answers.ts';

export interface HttpServerOptions {
  readonly listen: HostPort;
  readonly maxConnections: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
}

// A request of this protocol is some hundred bytes without a body: what takes longer or is larger is no client of ours.
const HEADERS_TIMEOUT_MILLIS = 5_000;
const REQUEST_TIMEOUT_MILLIS = 10_000;
const KEEP_ALIVE_MILLIS = 5_000;
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_REQUESTS_PER_SOCKET = 1_000;
const CHECK_INTERVAL_MILLIS = 1_000;

/** Node's HTTP server with this product's limits, and an orderly end. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  #draining = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MILLIS,
        requestTimeout: REQUEST_TIMEOUT_MILLIS,
        keepAliveTimeout: KEEP_ALIVE_MILLIS,
        connectionsCheckingInterval: CHECK_INTERVAL_MILLIS,
        maxHeaderSize: MAX_HEADER_BYTES,
        insecureHTTPParser: false,
        requireHostHeader: false, // the handler answers in IMDS's shape
        noDelay: true,
      },
      options.handle,
    );
    // Node would drop headers beyond its count without a word, and the gate must see all; the handler counts itself.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = options.maxConnections;
    this.#server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET;
    // Without listeners Node would answer `100 Continue` or `417` by itself; the gate refuses both.
    this.#server.on('checkContinue', options.handle);
    this.#server.on('checkExpectation', options.handle);
    this.#server.on('clientError', refuseMalformed);
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#options.listen.port;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', cause => {
        const text = `The proxy cannot listen on ${host}:${port}: ${messageOf(cause)}`;
        reject(new MsiProxyError('MSI_LISTEN_FAILED', text, { cause }));
      });
      this.#server.listen(port, host, resolve);
    });
    // Such as an accept that fails for want of file descriptors.
    this.#server.on('error', err =>
      this.#options.logger.error('A connection could not be accepted', { err }),
    );
  }

  /** Accepts no more, lets requests under way finish for so long, and ends what is left. */
  async drain(graceMillis: number): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    if (!this.#server.listening) return;
    const closed = new Promise<void>(resolve => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    const deadline = this.#options.clock.setTimer(() => this.#server.closeAllConnections(), graceMillis);
    await closed;
    deadline.cancel();
  }
}

/** What Node's parser does not take for HTTP. */
function refuseMalformed(error: Error, socket: Socket): void {
  if (codeOf(error) === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = badRequest('instance', 'The request is not valid HTTP');
  const lines = [
    `HTTP/1.1 ${status} Bad Request`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
