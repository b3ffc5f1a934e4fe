import { Agent } from 'node:http';
import { messageOf, type HostPort, type Report } from '@msi-proxy/shared';
import { MAX_UPSTREAM_SOCKETS } from './budget/call-budget.ts';

// Below what servers usually keep idle connections for, so that we close first and do not race their close.
const IDLE_MILLIS = 4_000;

/** IMDS: where it is, the connections to it, and how it does. */
export class Upstream {
  readonly address: HostPort;
  /** The only connections there are, idle ones included. */
  readonly agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_UPSTREAM_SOCKETS,
    maxTotalSockets: MAX_UPSTREAM_SOCKETS,
    scheduling: 'lifo',
    timeout: IDLE_MILLIS,
  });
  readonly #name: string;
  #state: Report['upstream'] = { state: 'unknown' };

  /** @param name by which it knows itself; its address unless given */
  constructor(address: HostPort, name = address.host) {
    this.address = address;
    this.#name = name;
  }

  get state(): Report['upstream'] {
    return this.#state;
  }

  /** What IMDS itself expects in `Host`; the client may have used another name for the proxy. */
  get hostHeader(): string {
    const { port } = this.address;
    const name = this.#name.includes(':') ? `[${this.#name}]` : this.#name;
    return port === 80 ? name : `${name}:${port}`;
  }

  answered(): void {
    if (this.#state.state !== 'answering') this.#state = { state: 'answering' };
  }

  failed(error: unknown): void {
    this.#state = { state: 'failing', lastError: messageOf(error) };
  }

  /** Where one idle connection turned out to be dead, the others may be too. */
  closeIdle(): void {
    for (const sockets of Object.values(this.agent.freeSockets)) {
      for (const socket of [...(sockets ?? [])]) socket.destroy();
    }
  }

  destroy(): void {
    this.agent.destroy();
  }
}
