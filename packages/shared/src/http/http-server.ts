import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { codeOf, messageOf, MsiProxyError } from '../errors/msi-proxy-error.ts';
import type { Logger } from '../logging/logger.ts';
import type { HostPort } from '../settings/setting.ts';
import { ConnectionShares } from './connection-shares.ts';
import { FairTurns } from './fair-turns.ts';
import { serveFast, wholeGet, type FastPath } from './fast-path.ts';
import { badRequest } from './imds-answers.ts';
import { KEEP_ALIVE_SECONDS, MAX_REQUESTS_PER_SOCKET } from './keep-alive.ts';

export interface HttpServerOptions {
  readonly listen: HostPort;
  readonly maxConnections: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /** Asked first, for whole requests that came before. */
  readonly fastPath?: FastPath;
}

// A request of this protocol is some hundred bytes without a body: what takes longer or is larger is no client of ours.
const HEADERS_TIMEOUT_MILLIS = 5_000;
const REQUEST_TIMEOUT_MILLIS = 10_000;
const KEEP_ALIVE_MILLIS = KEEP_ALIVE_SECONDS * 1_000;
// What clients are told is shorter by this (as Node's `keepAliveTimeoutBuffer`): one may send at the last moment.
const KEEP_ALIVE_BUFFER_MILLIS = 1_000;
const MAX_HEADER_BYTES = 8 * 1024;
const CHECK_INTERVAL_MILLIS = 1_000;

// No client of IMDS sends a request before it has the answer to the last one; each that waits holds memory.
const MAX_REQUESTS_UNDER_WAY = 8;

// For the health check, which must not fail because clients have taken all places.
const INSIDE_PLACES = 4;

// For a client to read a refusal and close, and for one that has just connected to say what it wants.
const LINGER_MILLIS = 1_000;

interface Connection {
  /** Requests that have not been answered. */
  underWay: number;
  /** It has not been given to Node's parser. */
  isFast: boolean;
  /** While bytes are given to Node's parser: the requests that it finds in them. */
  found: IncomingMessage[] | undefined;
}

/** Node's HTTP server with this product's limits, and an orderly end. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  /** Those that are open. */
  readonly #connections = new Map<Socket, Connection>();
  readonly #shares: ConnectionShares;
  readonly #turns = new FairTurns();
  #drained: Promise<void> | undefined;
  readonly #closeListeners = new Set<() => void>();

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#shares = new ConnectionShares(options.maxConnections);
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
      (request, response) => this.#handle(request, response),
    );
    // Node would drop headers beyond its count without a word, and the gate must see all; the handler counts itself.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = options.maxConnections + INSIDE_PLACES;
    this.#server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET;
    // Without listeners Node would answer `100 Continue` or `417` by itself; the gate refuses both.
    const handle = (request: IncomingMessage, response: ServerResponse) => this.#handle(request, response);
    this.#server.on('checkContinue', handle);
    this.#server.on('checkExpectation', handle);
    this.#server.on('clientError', (error, socket: Socket) => this.#refuseMalformed(error, socket));
    const { fastPath } = options;
    // Node's own listener, which gives a connection to its parser.
    const [parse] = this.#server.listeners('connection') as ((socket: Socket) => void)[];
    this.#server.removeAllListeners('connection');
    this.#server.on('connection', socket => {
      const { remoteAddress = '' } = socket;
      if (!isFromInside(socket) && !this.#shares.admits(remoteAddress)) {
        socket.destroy();
        return;
      }
      const leave = this.#shares.take(remoteAddress);
      const connection = { underWay: 0, isFast: fastPath !== undefined, found: undefined };
      this.#connections.set(socket, connection);
      socket.once('close', () => {
        leave();
        this.#connections.delete(socket);
        for (const listener of this.#closeListeners) listener();
      });
      const give = () => parse!.call(this.#server, socket);
      if (fastPath === undefined) give();
      else this.#serveFast(socket, connection, fastPath, give);
    });
  }

  /** Those that are open stay so also beyond a lower number. */
  set maxConnections(count: number) {
    this.#shares.max = count;
    this.#server.maxConnections = count + INSIDE_PLACES;
  }

  get isDraining(): boolean {
    return this.#drained !== undefined;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#options.listen.port;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', cause => {
        const text = `Nobody can be served on ${host}:${port}: ${messageOf(cause)}`;
        reject(new MsiProxyError('MSI_LISTEN_FAILED', text, { cause }));
      });
      this.#server.listen(port, host, resolve);
    });
    // Such as an accept that fails for want of file descriptors.
    this.#server.on('error', err =>
      this.#options.logger.error('A connection could not be accepted', { err }),
    );
  }

  /**
   * Waits, at most for so long, until no client keeps a connection for its next request. A server whose answers end their
   * connections ends so without cutting off a request that is just being sent.
   */
  async idleConnectionsEnded(timeoutMillis: number): Promise<void> {
    const haveEnded = () =>
      ![...this.#connections].some(([{ bytesRead }, { underWay }]) => bytesRead > 0 && underWay === 0);
    if (haveEnded()) return;
    const ended = Promise.withResolvers<undefined>();
    const listener = () => {
      if (haveEnded()) ended.resolve(undefined);
    };
    const timer = this.#options.clock.setTimer(() => ended.resolve(undefined), timeoutMillis);
    this.#closeListeners.add(listener);
    await ended.promise;
    this.#closeListeners.delete(listener);
    timer.cancel();
  }

  /** Accepts no more, lets requests under way finish for so long, and ends what is left. */
  drain(graceMillis: number): Promise<void> {
    this.#drained ??= this.#server.listening ? this.#drain(graceMillis) : Promise.resolve();
    return this.#drained;
  }

  async #drain(graceMillis: number): Promise<void> {
    const { clock } = this.#options;
    const closed = new Promise<void>(resolve => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    // Node does not know those; what they were sent has been answered.
    for (const [socket, { isFast, underWay }] of [...this.#connections]) {
      if (isFast && socket.bytesRead > 0 && underWay === 0) socket.destroySoon();
    }
    // To Node, a connection on which nothing was ever sent is one whose request is under way.
    const silence = clock.setTimer(() => this.#closeSilent(), Math.min(LINGER_MILLIS, graceMillis));
    const deadline = clock.setTimer(() => this.#closeAll(), graceMillis);
    await closed;
    silence.cancel();
    deadline.cancel();
  }

  #closeAll(): void {
    this.#server.closeAllConnections();
    for (const [socket, { isFast }] of [...this.#connections]) if (isFast) socket.destroy();
  }

  #closeSilent(): void {
    for (const socket of [...this.#connections.keys()]) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  }

  #serveFast(socket: Socket, connection: Connection, fastPath: FastPath, parse: () => void): void {
    const handOver = (received: Buffer) => {
      connection.isFast = false;
      connection.found = [];
      parse();
      socket.emit('data', received);
      const [request, ...others] = connection.found;
      connection.found = undefined;
      if (request?.complete !== true || others.length > 0) return;
      const text = wholeGet(received);
      if (text !== undefined) fastPath.learn(text, request);
    };
    serveFast({
      socket,
      answer: fastPath.connect(socket),
      caller: socket.remoteAddress ?? '',
      turns: this.#turns,
      handOver,
      maxRequests: MAX_REQUESTS_PER_SOCKET,
      idleMillis: KEEP_ALIVE_MILLIS + KEEP_ALIVE_BUFFER_MILLIS,
      onWaiting: isWaiting => {
        connection.underWay += isWaiting ? 1 : -1;
      },
    });
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const connection = this.#connections.get(socket);
    connection?.found?.push(request);
    if (connection === undefined || connection.underWay >= MAX_REQUESTS_UNDER_WAY) {
      socket.destroy();
      return;
    }
    connection.underWay += 1;
    response.once('close', () => {
      connection.underWay -= 1;
    });
    this.#options.handle(request, response);
  }

  #underWay(socket: Socket): number {
    return this.#connections.get(socket)?.underWay ?? 0;
  }

  /** Answers what Node's parser does not take for HTTP. */
  #refuseMalformed(error: Error, socket: Socket): void {
    // An answer without a question, or in the middle of another one, would be taken for something else.
    const isOutOfPlace = socket.bytesRead === 0 || this.#underWay(socket) > 0;
    if (codeOf(error) === 'ECONNRESET' || !socket.writable || isOutOfPlace) {
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
    const timer = this.#options.clock.setTimer(() => socket.destroy(), LINGER_MILLIS);
    socket.once('close', () => timer.cancel());
  }
}

/** From the network namespace of the server: nobody else can come from the very address that is asked. */
function isFromInside({ remoteAddress, localAddress }: Socket): boolean {
  return remoteAddress !== undefined && remoteAddress === localAddress;
}
