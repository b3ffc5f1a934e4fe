import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIPv4 } from 'node:net';
import type { StandInOutcome } from '@msi-proxy/shared/metrics';
import { READY_PATH, type Clock, type Logger, type Timer } from '@msi-proxy/shared';
import { badRequest, errorShapeOf, HttpServer, jsonAnswer, probeAnswer } from '@msi-proxy/shared/http';
import type { VmRules } from '../guard/vm-rules.ts';
import type { ProxyEndpoint } from '../wiring/proxy-endpoint.ts';
import { HandOver } from './hand-over.ts';
import { HeldRequest } from './held-request.ts';
import { holdableBodyLength } from './holdable-body.ts';
import type { Witness } from './witness.ts';

export interface StandInOptions {
  readonly port: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lendSources: VmRules['lendSources'];
  /** Answers what proxies ask. */
  readonly witness: Pick<Witness, 'key' | 'answer'>;
  /** Tells how each request ended that was more than a probe. */
  readonly onRequestOver?: (outcome: StandInOutcome) => void;
}

/** Safe up to 38 s with every SDK that was measured, see docs/adr/0015. */
const HOLD_MILLIS = 30_000;

// Each takes some kilobytes: its socket, at most 8 KiB of headers, and at most 4 KiB of a form.
const MAX_CONNECTIONS = 512;
const MAX_HELD = 256;
// One container must not use up the places of all.
const MAX_HELD_PER_ADDRESS = 16;

const DRAIN_MILLIS = 1_000;

/** What Node's client sends as it is; anything else is no canonical target, which the proxy would refuse. */
const SENDABLE_TARGET = /^[\u0021-\u007e]+$/;

/**
 * Accepts the requests of containers while no proxy serves. An SDK's probe is answered at once, as IMDS would: whoever
 * gets no answer to it takes the VM for one without IMDS. Everything else waits, for a bounded time, until a proxy
 * serves, which then answers it; who waits in vain is told to try again.
 */
export class StandIn {
  readonly #options: StandInOptions;
  readonly #handOver: HandOver;
  /** All that are being read, held or passed on. */
  readonly #requests = new Set<HeldRequest>();
  /** Those of which the body has not come. */
  readonly #reading = new Set<HeldRequest>();
  /** Those that are held, each with the end of its time. */
  readonly #held = new Map<HeldRequest, Timer>();
  #address: string | undefined;
  #starting: Promise<HttpServer> | undefined;
  #proxy: ProxyEndpoint | undefined;

  constructor(options: StandInOptions) {
    this.#options = options;
    this.#handOver = new HandOver(options);
  }

  /** Secret, for proxies: whoever has it can ask whether an address has changed hands. */
  get witnessKey(): string {
    return this.#options.witness.key;
  }

  /** How many requests are being read, held or passed on. */
  get underWay(): number {
    return this.#requests.size;
  }

  get heldRequests(): number {
    return this.#held.size;
  }

  /**
   * Listens on this address, and on no other one any more.
   *
   * @throws {MsiProxyError} `MSI_LISTEN_FAILED`
   */
  async listen(address: string): Promise<ProxyEndpoint> {
    if (address !== this.#address || this.#starting === undefined) {
      const previous = this.stop();
      this.#address = address;
      this.#starting = previous.then(() => this.#startServer(address));
    }
    const starting = this.#starting;
    try {
      return { address, port: (await starting).port };
    } catch (error) {
      if (this.#starting === starting) this.#starting = undefined;
      throw error;
    }
  }

  /** A proxy serves, and requests that were held go to it; or, from now on, none does. */
  setProxy(proxy: ProxyEndpoint | undefined): void {
    this.#proxy = proxy;
    if (proxy === undefined) return;
    if (this.#held.size > 0) {
      this.#options.logger.info('A proxy serves: requests that were held are passed on to it', {
        requests: this.#held.size,
      });
    }
    for (const held of [...this.#held.keys()]) this.#pass(held, proxy);
  }

  /** Tells those who wait to try again, and accepts no more. */
  async stop(): Promise<void> {
    const starting = this.#starting;
    this.#starting = undefined;
    this.#address = undefined;
    for (const held of [...this.#reading, ...this.#held.keys()]) held.giveUp();
    const server = await starting?.catch(() => undefined);
    await server?.drain(DRAIN_MILLIS);
  }

  async #startServer(address: string): Promise<HttpServer> {
    const { port, clock, logger } = this.#options;
    const server = new HttpServer({
      listen: { host: address, port },
      maxConnections: MAX_CONNECTIONS,
      clock,
      logger,
      handle: (request, response) => this.#handle(request, response),
    });
    await server.start();
    return server;
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const held = new HeldRequest(request, response, this.#options.clock.monotonicMillis());
    const { url = '', headers } = request;
    const testimony = this.#options.witness.answer(url, headers);
    if (testimony !== undefined) held.answer(testimony);
    else if (url === READY_PATH) held.answer(jsonAnswer(503, { ready: false, reason: 'no proxy serves' }));
    else if (!SENDABLE_TARGET.test(url)) {
      held.answer(badRequest(errorShapeOf(url), 'The request path is not in canonical form'));
    } else if (headers['metadata']?.toString().toLowerCase() !== 'true') {
      held.answer(probeAnswer(url));
    } else {
      held.onceOver(outcome => this.#options.onRequestOver?.(outcome));
      const bodyLength = holdableBodyLength(request);
      if (bodyLength === undefined || !this.#hasRoomFor(held.address)) held.giveUp();
      else void this.#accept(held, bodyLength);
    }
  }

  async #accept(held: HeldRequest, bodyLength: number): Promise<void> {
    this.#requests.add(held);
    held.onceOver(() => this.#requests.delete(held));
    if (bodyLength > 0) {
      // Ended by the server's limit of time for a whole request when the body does not come.
      this.#reading.add(held);
      const isWhole = await held.readBody(bodyLength);
      this.#reading.delete(held);
      if (!isWhole || held.isOver) return;
    }
    if (this.#proxy === undefined) this.#hold(held);
    else this.#pass(held, this.#proxy);
  }

  #hold(held: HeldRequest): void {
    this.#held.set(
      held,
      this.#options.clock.setTimer(() => held.giveUp(), HOLD_MILLIS),
    );
    held.onceOver(() => this.#release(held));
  }

  #pass(held: HeldRequest, proxy: ProxyEndpoint): void {
    this.#release(held);
    if (this.#address === undefined) held.giveUp();
    else this.#handOver.pass(held, { localAddress: this.#address, proxy });
  }

  #release(held: HeldRequest): void {
    this.#held.get(held)?.cancel();
    this.#held.delete(held);
  }

  #hasRoomFor(address: string): boolean {
    if (!isIPv4(address) || this.#requests.size >= MAX_HELD) return false;
    const own = [...this.#requests].filter(held => held.address === address);
    return own.length < MAX_HELD_PER_ADDRESS;
  }
}
