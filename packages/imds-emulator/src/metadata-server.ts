import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { codeOf, type HostPort } from '@msi-proxy/shared';
import { exchange, type ExchangeContext } from './exchange.ts';
import { parserErrorPage } from './http/front-door.ts';
import { close, listen } from './http/http-listener.ts';
import { renderReply } from './http/send-reply.ts';
import type { ByteTap } from './recorder/byte-tap.ts';

export interface MetadataServerOptions extends ExchangeContext {
  readonly tap: ByteTap;
}

// HTTP.sys: MaxRequestBytes is 16 KiB.
const MAX_HEADER_BYTES = 16_384;

/** The HTTP server that stands in for 169.254.169.254:80. */
export class MetadataServer {
  readonly #options: MetadataServerOptions;
  readonly #server: Server;
  readonly #stopping = new AbortController();
  readonly #inFlight = new Set<Promise<void>>();

  constructor(options: MetadataServerOptions) {
    this.#options = options;
    this.#server = createServer(
      { maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: false },
      (request, response) => this.#accept(request, response),
    );
    this.#server.on('connection', socket => options.tap.attach(socket));
    this.#server.on('clientError', (error, socket) => this.#refuseUnreadable(error, socket));
  }

  start(address: HostPort): Promise<HostPort> {
    return listen(this.#server, address);
  }

  /** Lets answers go out that are being sent; requests that wait for something are cut. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#inFlight);
    await close(this.#server);
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    const done = exchange({ request, response }, this.#options, this.#stopping.signal)
      .catch((err: unknown) => {
        this.#options.logger.error('request failed', { err });
        response.destroy();
      })
      .finally(() => this.#inFlight.delete(done));
    this.#inFlight.add(done);
  }

  #refuseUnreadable(error: Error, socket: Duplex): void {
    const code = codeOf(error);
    if (code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const { clock, logger } = this.#options;
    logger.info('unreadable request', { reason: code });
    socket.end(renderReply(parserErrorPage(code), new Date(clock.wallMillis())));
  }
}
