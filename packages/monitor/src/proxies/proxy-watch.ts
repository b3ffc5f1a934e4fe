import { connect, type Socket } from 'node:net';
import type { Clock, Timer } from '@msi-proxy/shared';
import type { ProxyEndpoint } from '../wiring/proxy-endpoint.ts';

/** Follows whether the server of a proxy is there, without the engine. */
export interface ProxyWatch {
  /** `unknown` until it has been reached once. */
  readonly state: 'unknown' | 'present' | 'gone';
  stop(): void;
}

export interface ProxyWatchOptions {
  readonly endpoint: ProxyEndpoint;
  readonly clock: Clock;
  readonly onChange: () => void;
}

export type WatchProxy = (options: ProxyWatchOptions) => ProxyWatch;

// On the same machine the kernel accepts at once, also for a process that is paused. The address of a container that has
// died answers with a reset for some tens of milliseconds, and then not at all.
const CONNECT_TIMEOUT_MILLIS = 250;

const RETRY_MILLIS = 500;

// A server that closes at once what it has accepted is full; asking it without pause would not help it.
const SHORTEST_CONNECTION_MILLIS = 250;

/**
 * Keeps a TCP connection to the proxy on which nothing is ever sent. The kernel closes it when the process dies, some
 * milliseconds before the control stream ends and some tens before the engine says so. The server closes it too, after
 * its time limit for silent connections: only one that cannot be opened again tells that the server is gone.
 */
export function watchProxy(options: ProxyWatchOptions): ProxyWatch {
  const watch = new ConnectionWatch(options);
  watch.start();
  return watch;
}

class ConnectionWatch implements ProxyWatch {
  readonly #options: ProxyWatchOptions;
  #state: ProxyWatch['state'] = 'unknown';
  #socket: Socket | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ProxyWatchOptions) {
    this.#options = options;
  }

  get state(): ProxyWatch['state'] {
    return this.#state;
  }

  start(): void {
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#socket?.destroy();
  }

  #connect(): void {
    const { endpoint, clock } = this.#options;
    const socket = connect({ host: endpoint.address, port: endpoint.port });
    this.#socket = socket;
    let connectedAtMillis: number | undefined;
    this.#timer = clock.setTimer(() => {
      // After a stall of this process timers come first: the connection may be there, and only not have been looked at.
      setImmediate(() => {
        if (connectedAtMillis === undefined) socket.destroy();
      });
    }, CONNECT_TIMEOUT_MILLIS);
    socket.once('connect', () => {
      this.#timer?.cancel();
      connectedAtMillis = clock.monotonicMillis();
      this.#become('present');
    });
    socket.on('error', () => undefined); // `close` follows
    socket.resume(); // otherwise its end would wait to be read
    socket.once('close', () => {
      this.#timer?.cancel();
      if (this.#stopped) return;
      if (connectedAtMillis === undefined) this.#fail();
      else {
        const lastedMillis = clock.monotonicMillis() - connectedAtMillis;
        this.#connectAfter(lastedMillis < SHORTEST_CONNECTION_MILLIS ? SHORTEST_CONNECTION_MILLIS : 0);
      }
    });
  }

  #fail(): void {
    this.#connectAfter(RETRY_MILLIS);
    if (this.#state !== 'unknown') this.#become('gone');
  }

  #connectAfter(millis: number): void {
    if (millis === 0) this.#connect();
    else this.#timer = this.#options.clock.setTimer(() => this.#connect(), millis);
  }

  #become(state: 'present' | 'gone'): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onChange();
  }
}
