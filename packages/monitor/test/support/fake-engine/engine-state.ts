import { createHash } from 'node:crypto';
import type { FakeEvent } from './event-log.ts';

export interface NetworkOptions {
  readonly name: string;
  readonly driver?: string;
  readonly internal?: boolean;
  /** The first three numbers of its /24. */
  readonly prefix?: string;
  readonly options?: Readonly<Record<string, string>>;
}

export interface FakeNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly internal: boolean;
  readonly prefix: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface ContainerOptions {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** A network's name, `host`, `none`, or `container:<id>`. */
  readonly network?: string;
  readonly image?: string;
  readonly platform?: 'linux' | 'windows';
  /** Instead of the lowest that is free. */
  readonly address?: string;
}

export interface FakeContainer {
  readonly id: string;
  name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string;
  readonly platform: 'linux' | 'windows';
  readonly networkMode: string;
  state: 'created' | 'running' | 'paused' | 'exited';
  startedAt: string;
  pid: number;
  /** Address by network id; empty while it does not run. */
  readonly endpoints: Map<string, string>;
  /** By network id: another one each time that it is connected. */
  readonly endpointIds: Map<string, string>;
  /** Address by network id that it is to have whenever it runs; the engine chooses where there is none. */
  readonly askedAddresses: Map<string, string>;
}

const NETWORKS_WITHOUT_ADDRESSES: readonly string[] = ['host', 'none'];

/** Containers and networks as an engine keeps them, with the events that it sends when they change, in its order. */
export class EngineState {
  readonly containers = new Map<string, FakeContainer>();
  readonly networks = new Map<string, FakeNetwork>();
  readonly #emit: (event: FakeEvent) => void;
  #serial = 0;
  #attachments = 0;

  constructor(emit: (event: FakeEvent) => void) {
    this.#emit = emit;
    this.createNetwork({ name: 'bridge', prefix: '172.17.0' });
    this.createNetwork({ name: 'host', driver: 'host' });
    this.createNetwork({ name: 'none', driver: 'null' });
  }

  createNetwork({ name, driver = 'bridge', internal = false, prefix, options = {} }: NetworkOptions): string {
    const serial = (this.#serial += 1);
    const network = { id: idOf(`network ${serial}`), name, driver, internal, options };
    this.networks.set(network.id, { ...network, prefix: prefix ?? `172.30.${serial % 256}` });
    this.#emit({ type: 'network', action: 'create', actorId: network.id, attributes: { name } });
    return network.id;
  }

  createContainer({
    name,
    labels = {},
    network = 'bridge',
    image = 'image',
    platform = 'linux',
    address,
  }: ContainerOptions): string {
    const id = idOf(`container ${(this.#serial += 1)}`);
    const container: FakeContainer = {
      id,
      name,
      labels,
      image,
      platform,
      networkMode: network,
      state: 'created',
      startedAt: '0001-01-01T00:00:00Z',
      pid: 0,
      endpoints: new Map(),
      endpointIds: new Map(),
      askedAddresses: new Map(),
    };
    if (!network.startsWith('container:')) join(container, this.network(network), address);
    this.containers.set(id, container);
    this.#emitContainer('create', container);
    return id;
  }

  start(nameOrId: string): void {
    const container = this.container(nameOrId);
    container.pid = 1_000 + (this.#serial += 1);
    // Two starts within a millisecond are two starts: real engines write nanoseconds.
    container.startedAt = new Date().toISOString().replace('Z', `${String(this.#serial).padStart(6, '0')}Z`);
    container.state = 'running';
    for (const networkId of container.endpoints.keys()) this.#attach(container, networkId);
    this.#emitContainer('start', container);
  }

  /** @param forget also the container itself, as with `docker rm -f` */
  stop(nameOrId: string, { remove = false }: { readonly remove?: boolean } = {}): void {
    const container = this.container(nameOrId);
    container.state = 'exited';
    container.pid = 0;
    this.#emitContainer('die', container);
    for (const networkId of container.endpoints.keys()) this.#detach(container, networkId);
    this.#emitContainer('stop', container);
    if (!remove) return;
    this.containers.delete(container.id);
    this.#emitContainer('destroy', container);
  }

  setPaused(nameOrId: string, paused: boolean): void {
    const container = this.container(nameOrId);
    container.state = paused ? 'paused' : 'running';
    this.#emitContainer(paused ? 'pause' : 'unpause', container);
  }

  rename(nameOrId: string, name: string): void {
    const container = this.container(nameOrId);
    const oldName = container.name;
    container.name = name;
    this.#emitContainer('rename', container, { oldName });
  }

  connect(networkName: string, nameOrId: string, address?: string): void {
    const container = this.container(nameOrId);
    const network = this.network(networkName);
    join(container, network, address);
    if (isUp(container)) this.#attach(container, network.id);
  }

  disconnect(networkName: string, nameOrId: string): void {
    const container = this.container(nameOrId);
    const { id } = this.network(networkName);
    this.#detach(container, id);
    container.endpoints.delete(id);
    container.askedAddresses.delete(id);
  }

  removeNetwork(id: string): void {
    const { name } = this.network(id);
    this.networks.delete(id);
    this.#emit({ type: 'network', action: 'remove', actorId: id, attributes: { name } });
  }

  container(nameOrId: string): FakeContainer {
    const found = this.findContainer(nameOrId);
    if (found === undefined) throw new Error(`no container ${nameOrId}`);
    return found;
  }

  findContainer(nameOrId: string): FakeContainer | undefined {
    return (
      this.containers.get(nameOrId) ?? [...this.containers.values()].find(({ name }) => name === nameOrId)
    );
  }

  network(nameOrId: string): FakeNetwork {
    const found = this.findNetwork(nameOrId);
    if (found === undefined) throw new Error(`no network ${nameOrId}`);
    return found;
  }

  findNetwork(nameOrId: string): FakeNetwork | undefined {
    return this.networks.get(nameOrId) ?? [...this.networks.values()].find(({ name }) => name === nameOrId);
  }

  /** Addresses of a network by container id. */
  endpointsOf({ id }: FakeNetwork): Map<string, string> {
    const endpoints = new Map<string, string>();
    for (const container of this.containers.values()) {
      const address = container.endpoints.get(id);
      if (address !== undefined && isUp(container)) endpoints.set(container.id, address);
    }
    return endpoints;
  }

  #attach(container: FakeContainer, networkId: string): void {
    const network = this.network(networkId);
    container.endpointIds.set(networkId, idOf(`endpoint ${(this.#attachments += 1)}`));
    container.endpoints.set(networkId, container.askedAddresses.get(networkId) ?? this.#freeAddress(network));
    this.#emitNetwork('connect', network, container);
  }

  #detach(container: FakeContainer, networkId: string): void {
    container.endpoints.set(networkId, '');
    container.endpointIds.delete(networkId);
    this.#emitNetwork('disconnect', this.network(networkId), container);
  }

  /** The lowest one: a freed address goes to the next container at once. */
  #freeAddress(network: FakeNetwork): string {
    if (NETWORKS_WITHOUT_ADDRESSES.includes(network.name)) return '';
    const taken = new Set(this.endpointsOf(network).values());
    for (let host = 2; host < 255; host += 1) {
      const address = `${network.prefix}.${host}`;
      if (!taken.has(address)) return address;
    }
    throw new Error(`no address is free on ${network.name}`);
  }

  #emitContainer(action: string, { id, name, image, labels }: FakeContainer, more = {}): void {
    this.#emit({ type: 'container', action, actorId: id, attributes: { ...labels, name, image, ...more } });
  }

  #emitNetwork(action: string, { id, name, driver }: FakeNetwork, container: FakeContainer): void {
    const attributes = { container: container.id, name, type: driver };
    this.#emit({ type: 'network', action, actorId: id, attributes });
  }
}

function join(container: FakeContainer, { id }: FakeNetwork, address: string | undefined): void {
  container.endpoints.set(id, '');
  if (address !== undefined) container.askedAddresses.set(id, address);
}

export function isUp({ state }: FakeContainer): boolean {
  return state === 'running' || state === 'paused';
}

/** 64 hexadecimal digits, as the engine's. */
export function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
