import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { HostPort, Logger } from '@msi-proxy/shared';
import { close, listen } from '../http/http-listener.ts';
import { json } from '../http/reply.ts';
import { readBody } from '../http/read-body.ts';
import { answerControl, type ControlledEmulator } from './control-routes.ts';

const MAX_BODY_BYTES = 1_048_576;

/** The control API, on an address of its own so that it is never taken for a part of IMDS. */
export class ControlServer {
  readonly #emulator: ControlledEmulator;
  readonly #logger: Logger;
  readonly #server: Server;

  constructor({ emulator, logger }: { readonly emulator: ControlledEmulator; readonly logger: Logger }) {
    this.#emulator = emulator;
    this.#logger = logger;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((err: unknown) => {
        this.#logger.error('control request failed', { err });
        response.destroy();
      });
    });
  }

  start(address: HostPort): Promise<HostPort> {
    return listen(this.#server, address);
  }

  stop(): Promise<void> {
    return close(this.#server);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { text: body, isTooLong } = await readBody(request, MAX_BODY_BYTES);
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const reply = isTooLong
      ? json({ error: `the body is longer than ${MAX_BODY_BYTES} bytes` }, 413)
      : answerControl(this.#emulator, { method: request.method ?? '', path, body });
    response.writeHead(reply.status, reply.headers).end(reply.body);
  }
}
