import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import {
  messageOf,
  MsiProxyError,
  parseHostPort,
  systemClock,
  type Clock,
  type HostPort,
  type Logger,
  type MonitorStatus,
} from '@msi-proxy/shared';
import { METRICS_CONTENT_TYPE } from '@msi-proxy/shared/metrics';
import { ASSET_PREFIX, PAGE_PATH, type PageAssets } from '../page/server/page-assets.ts';
import { PageFiles } from '../page/server/page-files.ts';
import { MAX_LISTENERS, StatusFeed } from '../page/server/status-feed.ts';

export const STATUS_PATH = '/api/status';
export const EVENTS_PATH = '/api/events';
export const METRICS_PATH = '/metrics';

export interface StatusServerOptions {
  /** Port 0 takes any that is free. */
  readonly listen: HostPort;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly status: () => MonitorStatus;
  /** Brings up to date what the status does not learn by itself; settles soon. */
  readonly refresh?: () => Promise<void>;
  /** Loads the page, when it is asked for first. Without it there is none. */
  readonly pageAssets?: () => Promise<PageAssets>;
  /** In the text format of Prometheus. */
  readonly metrics: () => string;
  /** Ready: the event stream is open, everything was read lately, and the guard is as wanted. */
  readonly ready: () => Readiness;
  /** How long a connection may be without a byte in either direction. */
  readonly idleMillis?: number;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is missing, in words. */
  readonly reason?: string;
}

/**
 * Answers what the monitor knows: a page at `/`, `/api/status`, its changes at `/api/events`, `/metrics`, `/livez`,
 * `/readyz`. Changes nothing, so it takes no other methods than GET and HEAD.
 */
export interface StatusServer extends AsyncDisposable {
  /**
   * @returns where it listens
   * @throws {MsiProxyError} `MSI_LISTEN_FAILED`
   */
  start(): Promise<HostPort>;
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text: string;
}

// Whoever asks is a person, a probe or `msi-monitor status`; more connections are a mistake or an attack.
const MAX_CONNECTIONS = 64;

// Readers that do not read keep no places. The stream of events, which has the longest pauses, beats every five seconds.
const IDLE_MILLIS = 15_000;

/** The response is a stream that goes on. */
const LISTENS = Symbol('listens');

const NOTHING_TO_REFRESH = () => Promise.resolve();

export function createStatusServer(options: StatusServerOptions): StatusServer {
  return new HttpStatusServer(options);
}

class HttpStatusServer implements StatusServer {
  readonly #options: StatusServerOptions;
  readonly #feed: StatusFeed;
  readonly #page: PageFiles;
  #server: Server | undefined;

  constructor(options: StatusServerOptions) {
    const { clock = systemClock, logger, status, refresh = NOTHING_TO_REFRESH } = options;
    this.#options = options;
    this.#feed = new StatusFeed({ clock, logger, status, refresh });
    this.#page = new PageFiles(options.pageAssets ?? (() => Promise.resolve({})));
  }

  async start(): Promise<HostPort> {
    const { listen, logger, idleMillis = IDLE_MILLIS } = this.#options;
    const server = createServer(
      { headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 },
      (request, response) => void this.#respond(request, response),
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.timeout = idleMillis;
    server.listen(listen.port, listen.host);
    try {
      await once(server, 'listening');
    } catch (cause) {
      throw new MsiProxyError(
        'MSI_LISTEN_FAILED',
        `The status cannot be served at ${listen.host}:${listen.port} (MSI_MONITOR_LISTEN): ${messageOf(cause)}`,
        { cause },
      );
    }
    this.#server = server;
    // Such as for want of memory or file descriptors.
    server.on('error', err => logger.error('A connection for the status could not be accepted', { err }));
    const { address, port } = server.address() as AddressInfo;
    logger.info('Status is served', { listen: `${address}:${port}` });
    return { host: address, port };
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    this.#feed.stop();
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // It waits behind another one of its connection. Nobody asks so here, and all of the answers would be held at once.
    if (response.socket === null) {
      request.socket.destroy();
      return;
    }
    let answer: Answer | typeof LISTENS;
    try {
      answer = await this.#answer(request, response);
    } catch (err) {
      this.#options.logger.error('A status request could not be answered', { err });
      answer = refusal(500, 'see the log of the monitor');
    }
    if (answer === LISTENS) return;
    const { status, headers, text } = answer;
    response.writeHead(status, {
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(status !== 304 && { 'Content-Length': Buffer.byteLength(text) }),
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer | typeof LISTENS> {
    const { method, url = '', headers } = request;
    if (!isDirectHost(headers.host)) return refusal(403, 'ask by IP address or as localhost');
    const [path = ''] = url.split('?', 1);
    if (path !== PAGE_PATH && isFromElsewhere(headers['sec-fetch-site']))
      return refusal(403, 'another page cannot ask here');
    if (method !== 'GET' && method !== 'HEAD')
      return refusal(405, 'only GET and HEAD are answered here', { Allow: 'GET, HEAD' });
    const { status, refresh = NOTHING_TO_REFRESH, metrics, ready } = this.#options;
    switch (path) {
      case STATUS_PATH:
        await refresh();
        return json(200, status());
      case EVENTS_PATH:
        // Those who only look whether it is there take no place.
        if (method === 'HEAD')
          return { status: 200, headers: { 'Content-Type': 'text/event-stream' }, text: '' };
        if (this.#feed.add(response)) return LISTENS;
        return refusal(503, `${MAX_LISTENERS} listen already`, { 'Retry-After': '10' });
      case METRICS_PATH:
        return { status: 200, headers: { 'Content-Type': METRICS_CONTENT_TYPE }, text: metrics() };
      case '/livez':
        return json(200, { live: true });
      case '/readyz': {
        const readiness = ready();
        return json(readiness.ready ? 200 : 503, readiness);
      }
      default:
        return await this.#pageFile(path, headers['if-none-match']);
    }
  }

  async #pageFile(path: string, knownTag: string | undefined): Promise<Answer> {
    const file =
      path === PAGE_PATH || path.startsWith(ASSET_PREFIX) ? await this.#page.find(path) : undefined;
    if (file === undefined)
      return refusal(404, `there is ${STATUS_PATH}, ${EVENTS_PATH}, ${METRICS_PATH}, /livez and /readyz`);
    const { headers, etag, text } = file;
    return knownTag === etag ? { status: 304, headers, text: '' } : { status: 200, headers, text };
  }
}

/**
 * Whether the request names the server by address. A web page that somebody on the VM has open can make its own name
 * resolve to this server and would then be let read the answers (DNS rebinding).
 */
function isDirectHost(host = ''): boolean {
  const { host: name } = parseHostPort(host) ?? parseHostPort(`${host}:80`) ?? { host: '' };
  return isIP(name) !== 0 || name.toLowerCase() === 'localhost';
}

/**
 * Whether a browser asks for a page of another site. It could not read the answers, but take the places of those who
 * listen. Programs that are no browsers do not say (Fetch Metadata).
 */
function isFromElsewhere(site: string | string[] | undefined): boolean {
  return site !== undefined && site !== 'same-origin' && site !== 'none';
}

function refusal(status: number, error: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const { text, headers: common } = json(status, { error });
  return { status, headers: { ...common, ...headers }, text };
}

function json(status: number, value: unknown): Answer {
  const headers = { 'Content-Type': 'application/json; charset=utf-8' };
  return { status, headers, text: `${JSON.stringify(value)}\n` };
}
