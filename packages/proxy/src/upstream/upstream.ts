import { Agent } from 'node:http';
import { messageOf, type HostPort, type Report } from '@msi-proxy/shared';

// IMDS answers five identity requests of a VM at once; more sockets would only wait there.
const MAX_SOCKETS = 5;

// Below what servers usually keep idle connections for, so that we close first and do not race their close.
const IDLE_MILLIS = 4_000;

/** IMDS: where it is, the sockets to it, and how it does. */
export class Upstream {
  readonly address: HostPort;
  readonly agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    scheduling: 'lifo',
    timeout: IDLE_MILLIS,
  });
  #state: Report['upstream'] = { state: 'unknown' };

  constructor(address: HostPort) {
    this.address = address;
  }

  get state(): Report['upstream'] {
    return this.#state;
  }

  /** What IMDS itself expects in `Host`; the client may have used another name for the proxy. */
  get hostHeader(): string {
    const { host, port } = this.address;
    return port === 80 ? host : `${host}:${port}`;
  }

  answered(): void {
    if (this.#state.state !== 'answering') this.#state = { state: 'answering' };
  }

  failed(error: unknown): void {
    this.#state = { state: 'failing', lastError: messageOf(error) };
  }

  destroy(): void {
    this.agent.destroy();
  }
}
