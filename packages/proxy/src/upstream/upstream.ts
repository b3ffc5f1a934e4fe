import { messageOf, type HostPort, type Report } from '@msi-proxy/shared';
import { MAX_UPSTREAM_SOCKETS } from './budget/call-budget.ts';
import { ConnectionPlaces } from './connection-places.ts';
import { CountedAgent } from './counted-agent.ts';
import { judgeFailure } from './judgement.ts';
import { PlainConnections } from './plain/plain-connections.ts';

// Below what servers usually keep idle connections for, so that we close first and do not race their close.
const IDLE_MILLIS = 4_000;

/** IMDS: where it is, the connections to it, and how it does. */
export class Upstream {
  readonly address: HostPort;
  /** For `node:http`. Together with {@link plain} these are the only connections there are, idle ones included. */
  readonly agent: CountedAgent;
  /** For requests whose answers are plain. */
  readonly plain: PlainConnections;
  readonly #name: string;
  #state: Report['upstream'] = { state: 'unknown' };

  /** @param name by which it knows itself; its address unless given */
  constructor(address: HostPort, name = address.host) {
    this.address = address;
    this.#name = name;
    const places: ConnectionPlaces = new ConnectionPlaces(MAX_UPSTREAM_SOCKETS, () => {
      if (!this.plain.closeOneIdle()) this.agent.closeOneIdle();
    });
    this.agent = new CountedAgent(
      {
        keepAlive: true,
        maxSockets: MAX_UPSTREAM_SOCKETS,
        maxTotalSockets: MAX_UPSTREAM_SOCKETS,
        scheduling: 'lifo',
        timeout: IDLE_MILLIS,
      },
      places,
    );
    this.plain = new PlainConnections({ address, places, idleMillis: IDLE_MILLIS });
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

  /** @param timeoutMillis how long it had; one that had little says nothing about IMDS when its time is up */
  failed(error: unknown, timeoutMillis: number): void {
    if (judgeFailure(error, timeoutMillis).verdict === 'inconclusive') return;
    this.#state = { state: 'failing', lastError: messageOf(error) };
  }

  /** Where one idle connection turned out to be dead, the others may be too. */
  closeIdle(): void {
    this.agent.closeIdle();
    this.plain.closeIdle();
  }

  destroy(): void {
    this.agent.destroy();
    this.plain.destroy();
  }
}
