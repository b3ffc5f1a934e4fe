import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import {
  messageOf,
  MsiProxyError,
  parseHostPort,
  type HostPort,
  type Logger,
  type MonitorStatus,
} from '@msi-proxy/shared';
import { METRICS_CONTENT_TYPE } from '@msi-proxy/shared/metrics';

export const STATUS_PATH = '/api/status';
export const METRICS_PATH = '/metrics';

export interface StatusServerOptions {
  /** Port 0 takes any that is free. */
  readonly listen: HostPort;
  readonly logger: Logger;
  readonly status: () => MonitorStatus;
  /** In the text format of Prometheus. */
  readonly metrics: () => string;
  /** Ready: the event stream is open, everything was read lately, and the guard is as wanted. */
  readonly ready: () => Readiness;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is missing, in words. */
  readonly reason?: string;
}

/** Answers what the monitor knows: `/api/status`, `/metrics`, `/livez`, `/readyz`. Changes nothing, so it takes no other methods. */
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
  readonly body: unknown;
  readonly contentType?: string;
}

// Whoever asks is a person, a probe or `msi-monitor status`; more connections are a mistake or an attack.
const MAX_CONNECTIONS = 64;

export function createStatusServer(options: StatusServerOptions): StatusServer {
  return new HttpStatusServer(options);
}

class HttpStatusServer implements StatusServer {
  readonly #options: StatusServerOptions;
  #server: Server | undefined;

  constructor(options: StatusServerOptions) {
    this.#options = options;
  }

  async start(): Promise<HostPort> {
    const { listen, logger } = this.#options;
    const server = createServer(
      { headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 },
      (request, response) => this.#respond(request, response),
    );
    server.maxConnections = MAX_CONNECTIONS;
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
    const { address, port } = server.address() as AddressInfo;
    logger.info('Status is served', { listen: `${address}:${port}` });
    return { host: address, port };
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    const { status, body, contentType } = this.#answer(request);
    const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
    response.writeHead(status, {
      'Content-Type': contentType ?? 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(text),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(status === 405 && { Allow: 'GET, HEAD' }),
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  }

  #answer({ method, url = '', headers }: IncomingMessage): Answer {
    if (!isDirectHost(headers.host)) return refusal(403, 'ask by IP address or as localhost');
    if (method !== 'GET' && method !== 'HEAD') return refusal(405, 'only GET and HEAD are answered here');
    const { status, metrics, ready, logger } = this.#options;
    const [path = ''] = url.split('?', 1);
    try {
      switch (path) {
        case STATUS_PATH:
          return { status: 200, body: status() };
        case METRICS_PATH:
          return { status: 200, body: metrics(), contentType: METRICS_CONTENT_TYPE };
        case '/livez':
          return { status: 200, body: { live: true } };
        case '/readyz': {
          const readiness = ready();
          return { status: readiness.ready ? 200 : 503, body: readiness };
        }
        default:
          return refusal(404, `there is ${STATUS_PATH}, ${METRICS_PATH}, /livez and /readyz`);
      }
    } catch (err) {
      logger.error('A status request could not be answered', { err });
      return refusal(500, 'see the log of the monitor');
    }
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

function refusal(status: number, error: string): Answer {
  return { status, body: { error } };
}
