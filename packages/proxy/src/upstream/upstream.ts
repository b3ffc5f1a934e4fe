import { Agent } from 'node:http';
import { messageOf, type EndpointGroup, type HostPort, type Report } from '@msi-proxy/shared';

/**
 * Requests that share connections. Scheduled events have their own, because their first call takes minutes and would
 * keep tokens waiting.
 */
export type Lane = 'identity' | 'scheduled-events' | 'general';

// IMDS answers five identity requests of a VM at once; more would only wait there.
const MAX_SOCKETS_PER_LANE = 5;

// Below what servers usually keep idle connections for, so that we close first and do not race their close.
const IDLE_MILLIS = 4_000;

/** IMDS: where it is, the connections to it, and how it does. */
export class Upstream {
  readonly address: HostPort;
  readonly agents: Readonly<Record<Lane, Agent>> = {
    identity: createAgent(),
    'scheduled-events': createAgent(),
    general: createAgent(),
  };
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
    const name = host.includes(':') ? `[${host}]` : host;
    return port === 80 ? name : `${name}:${port}`;
  }

  answered(): void {
    if (this.#state.state !== 'answering') this.#state = { state: 'answering' };
  }

  failed(error: unknown): void {
    this.#state = { state: 'failing', lastError: messageOf(error) };
  }

  destroy(): void {
    for (const agent of Object.values(this.agents)) agent.destroy();
  }
}

export function laneOf(group: EndpointGroup | 'versions'): Lane {
  switch (group) {
    case 'token':
    case 'identity-info':
    case 'credential':
      return 'identity';
    case 'scheduledevents':
    case 'scheduledevents-ack':
      return 'scheduled-events';
    case 'instance':
    case 'userdata':
    case 'loadbalancer':
    case 'attested':
    case 'versions':
      return 'general';
  }
}

function createAgent(): Agent {
  return new Agent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS_PER_LANE,
    scheduling: 'lifo',
    timeout: IDLE_MILLIS,
  });
}
