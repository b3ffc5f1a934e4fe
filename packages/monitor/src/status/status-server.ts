import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, MsiProxyError, type HostPort, type Logger } from '@msi-proxy/shared';
import type { StatusSource } from './status-source.ts';

export const STATUS_PATH = '/api/status';

export interface StatusServerOptions {
  /** Port 0 takes any that is free. */
  readonly listen: HostPort;
  readonly source: StatusSource;
  readonly logger: Logger;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

// Whoever asks is a person, a probe or `msi-monitor status`; more connections are a mistake or an attack.
const MAX_CONNECTIONS = 64;

/** Answers what the monitor knows: `/api/status`, `/livez`, `/readyz`. Changes nothing, so it takes no other methods. */
export class StatusServer implements AsyncDisposable {
  readonly #options: StatusServerOptions;
  #server: Server | undefined;

  constructor(options: StatusServerOptions) {
    this.#options = options;
  }

  /**
   * @returns where it listens
   * @throws {MsiProxyError} `MSI_LISTEN_FAILED`
   */
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
    const { status, contentType, body } = this.#answer(request);
    response.writeHead(status, {
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(status === 405 && { Allow: 'GET, HEAD' }),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  #answer({ method, url = '' }: IncomingMessage): Answer {
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'Only GET and HEAD are answered here.');
    const { source, logger } = this.#options;
    try {
      const [path = ''] = url.split('?', 1);
      switch (path) {
        case STATUS_PATH:
          return json(200, source.status());
        case '/livez':
          return text(200, 'ok');
        case '/readyz': {
          const readiness = source.readiness();
          return readiness.ready ? text(200, 'ok') : text(503, readiness.reasons.join('\n'));
        }
        default:
          return text(404, `There is ${STATUS_PATH}, /livez and /readyz.`);
      }
    } catch (err) {
      logger.error('A status request could not be answered', { err });
      return text(500, 'See the log of the monitor.');
    }
  }
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

function text(status: number, line: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${line}\n` };
}
