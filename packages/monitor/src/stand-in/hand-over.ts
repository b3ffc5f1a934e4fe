import { request as sendRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Clock, Logger } from '@msi-proxy/shared';
import type { VmRules } from '../guard/vm-rules.ts';
import type { ProxyEndpoint } from '../wiring/proxy-endpoint.ts';
import type { HeldRequest } from './held-request.ts';

export interface HandOverOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Gives connections to the proxy the address of the container that asked. */
  readonly lendSources: VmRules['lendSources'];
}

/** From where, and to which proxy. */
export interface HandOverWay {
  /** The address that connections are opened from, which is the one that the rules know. */
  readonly localAddress: string;
  readonly proxy: ProxyEndpoint;
}

// Below the ports that Linux gives out by itself (ip_local_port_range begins at 32768). One after the other, so that a
// port rests for long before it comes again.
const FIRST_PORT = 16_384;
const PORT_COUNT = 16_384;

// Changes of the rules wait while connections are opened; the proxy is on this very machine.
const CONNECT_TIMEOUT_MILLIS = 500;

const MAX_BATCH = 64;

/**
 * From its arrival on: all SDKs that were measured wait 38 s, and try again after a 503 (docs/adr/0015). The proxy itself may hold
 * it again, until it knows who asks.
 */
const ANSWER_WITHIN_MILLIS = 36_000;

/** They are for one connection only (RFC 9110, 7.6.1); the two connections here have nothing to do with each other. */
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'upgrade', 'http2-settings']);

/**
 * Passes requests on to the proxy, which judges and answers them as if they had come to it: it knows callers by their
 * address, and these connections have that of the container.
 */
export class HandOver {
  readonly #options: HandOverOptions;
  readonly #waiting: { readonly held: HeldRequest; readonly way: HandOverWay }[] = [];
  #lastPort = FIRST_PORT - 1;
  #running: Promise<void> | undefined;

  constructor(options: HandOverOptions) {
    this.#options = options;
  }

  /** Requests that come close to each other share one change of the rules. */
  pass(held: HeldRequest, way: HandOverWay): void {
    this.#waiting.push({ held, way });
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    // All that are let go at the same moment.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH).filter(({ held }) => !held.isOver);
      const lent = batch.map(entry => ({ ...entry, port: this.#nextPort(), address: entry.held.address }));
      try {
        await this.#options.lendSources(lent, async () => {
          await Promise.all(lent.map(({ held, way, port }) => this.#connect(held, way, port)));
        });
      } catch (err) {
        this.#options.logger.warn(
          'Held requests could not be passed on; their clients are told to try again',
          {
            err,
          },
        );
        for (const { held } of lent) held.giveUp();
      }
    }
  }

  /** Settles when the connection is open, or will not be. */
  async #connect(held: HeldRequest, { localAddress, proxy }: HandOverWay, localPort: number): Promise<void> {
    const socket = connect({ host: proxy.address, port: proxy.port, localAddress, localPort });
    try {
      await opened(socket, this.#options.clock);
      this.#send(held, socket);
    } catch {
      // Also what Node's client does not send, such as a `Trailer` without chunks.
      socket.destroy();
      held.giveUp();
    }
  }

  #send(held: HeldRequest, socket: Socket): void {
    // The client may have left while the rules were changed and the connection was opened.
    if (held.isOver) {
      socket.destroy();
      return;
    }
    const { request, response } = held;
    const passed = sendRequest({
      createConnection: () => socket,
      ...(request.method !== undefined && { method: request.method }),
      ...(request.url !== undefined && { path: request.url }),
      headers: [...endToEndHeaders(request.rawHeaders), 'Connection', 'close'],
    });
    const { clock } = this.#options;
    const waitedMillis = clock.monotonicMillis() - held.arrivedAtMillis;
    const timer = clock.setTimer(() => passed.destroy(), Math.max(0, ANSWER_WITHIN_MILLIS - waitedMillis));
    held.onceOver(() => {
      timer.cancel();
      passed.destroy();
    });
    passed.once('error', () => held.giveUp());
    passed.once('response', answer => {
      // Between the end of the client's connection and the word of it; a pipeline into what is closed would throw.
      if (held.isOver) {
        passed.destroy();
        return;
      }
      response.sendDate = false;
      response.writeHead(answer.statusCode ?? 503, answer.statusMessage, [
        ...endToEndHeaders(answer.rawHeaders),
        'Connection',
        'close',
      ]);
      // A connection that breaks in the middle breaks the client's too, which is how it learns of it.
      pipeline(answer, response, () => undefined);
    });
    passed.end(held.body);
  }

  #nextPort(): number {
    this.#lastPort = FIRST_PORT + ((this.#lastPort + 1 - FIRST_PORT) % PORT_COUNT);
    return this.#lastPort;
  }
}

/** @throws what went wrong, or that it took too long */
async function opened(socket: Socket, clock: Clock): Promise<void> {
  const connected = Promise.withResolvers<undefined>();
  const timer = clock.setTimer(
    () => connected.reject(new Error('the proxy does not accept the connection')),
    CONNECT_TIMEOUT_MILLIS,
  );
  socket.once('connect', () => connected.resolve(undefined));
  socket.on('error', error => connected.reject(error));
  await connected.promise.finally(() => timer.cancel());
}

function endToEndHeaders(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, index) => {
    const name = rawHeaders[index - (index % 2)]!;
    return !CONNECTION_HEADERS.has(name.toLowerCase());
  });
}
