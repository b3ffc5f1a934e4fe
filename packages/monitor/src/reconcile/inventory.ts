import type { ContainerDetails, EngineClient, NetworkDetails } from '../docker/index.ts';
import type { EngineSnapshot } from './desired-state.ts';

/** Docker's network through which overlay tasks reach the outside. */
const GATEWAY_BRIDGE = 'docker_gwbridge';

/** A paused container keeps its addresses. */
const RUNNING: readonly string[] = ['running', 'paused'];

// Docker answers 33 inspects at once in the time of a few; more only queue there.
const PARALLEL_INSPECTS = 8;

/** Of one container. */
interface Reads {
  /** Under way. */
  readonly current: Promise<ContainerDetails | undefined>;
  /** Begins when that is over. */
  next: Promise<ContainerDetails | undefined> | undefined;
}

/** What the engine has, as last read. Only reading changes it: nothing is concluded from events. */
export class Inventory {
  readonly #engine: EngineClient;
  readonly #containers = new Map<string, ContainerDetails>();
  readonly #reads = new Map<string, Reads>();
  #networks: readonly NetworkDetails[] = [];
  #gatewayAddresses: ReadonlyMap<string, string> = new Map();
  #defaultIsolation = '';

  constructor(engine: EngineClient) {
    this.#engine = engine;
  }

  get snapshot(): EngineSnapshot {
    return {
      containers: [...this.#containers.values()],
      networks: this.#networks,
      gatewayAddresses: this.#gatewayAddresses,
      defaultIsolation: this.#defaultIsolation,
    };
  }

  get containerIds(): readonly string[] {
    return [...this.#containers.keys()];
  }

  container(id: string): ContainerDetails | undefined {
    return this.#containers.get(id);
  }

  /** Whether the container has the address by an interface of its own on a bridge of this VM: not by macvlan, ipvlan and the like. */
  isOnBridge(id: string, address: string): boolean {
    if (this.#gatewayAddresses.get(id) === address) return true;
    const own = this.#containers.get(id)?.networks.find(network => network.address === address);
    return this.#networks.some(network => network.id === own?.networkId && network.driver === 'bridge');
  }

  /**
   * Reads one container. Reads of one container wait for each other, so that an answer that took long does not replace
   * a newer one. All who come while one is under way share the next one: each of them hears of a time after it has asked.
   *
   * @returns what it is now; `undefined` when it does not run
   */
  async readContainer(id: string): Promise<ContainerDetails | undefined> {
    const reads = this.#reads.get(id);
    if (reads === undefined) return await this.#readNow(id);
    reads.next ??= reads.current.then(
      () => this.#readNow(id),
      () => this.#readNow(id),
    );
    return await reads.next;
  }

  async #readNow(id: string): Promise<ContainerDetails | undefined> {
    const current = this.#inspect(id);
    const reads: Reads = { current, next: undefined };
    this.#reads.set(id, reads);
    try {
      return await current;
    } finally {
      if (reads.next === undefined) this.#reads.delete(id);
    }
  }

  async #inspect(id: string): Promise<ContainerDetails | undefined> {
    const container = await this.#engine.inspectContainer(id);
    if (container === undefined || !RUNNING.includes(container.state)) {
      this.#containers.delete(id);
      if (this.#gatewayAddresses.has(id)) await this.#readGatewayAddresses();
      return undefined;
    }
    if (container.platform === 'windows' && this.#defaultIsolation === '') {
      this.#defaultIsolation = await this.#engine.defaultIsolation();
    }
    this.#containers.set(container.id, container);
    const known = new Set(this.#networks.map(network => network.id));
    if (container.networks.some(({ networkId }) => networkId !== '' && !known.has(networkId)))
      await this.readNetworks();
    // One that has left its overlay network has left this bridge too, and its address there is free for others.
    const mayHaveLeft = this.#gatewayAddresses.has(container.id);
    if (mayHaveLeft || container.networks.some(({ networkId }) => this.#isOverlay(networkId)))
      await this.#readGatewayAddresses();
    return container;
  }

  async readNetworks(): Promise<void> {
    this.#networks = await this.#engine.listNetworks();
    if (this.#networks.some(({ name }) => name === GATEWAY_BRIDGE)) await this.#readGatewayAddresses();
  }

  /** Reads everything. */
  async readAll(): Promise<void> {
    await this.readNetworks();
    const listed = await this.#engine.listContainers();
    // Those that are known but not listed are read too: they may have started after the list was made.
    await this.#readContainers(new Set([...listed.map(({ id }) => id), ...this.containerIds]));
  }

  /** Reads the containers that have come or gone since the last reading: cheaper than {@link readAll}. */
  async readNew(): Promise<void> {
    const listed = new Set((await this.#engine.listContainers()).map(({ id }) => id));
    const come = [...listed].filter(id => !this.#containers.has(id));
    const gone = this.containerIds.filter(id => !listed.has(id));
    await this.#readContainers(new Set([...come, ...gone]));
  }

  async #readContainers(all: ReadonlySet<string>): Promise<void> {
    const ids = [...all];
    const worker = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) await this.readContainer(id);
    };
    await Promise.all(Array.from({ length: PARALLEL_INSPECTS }, worker));
  }

  async #readGatewayAddresses(): Promise<void> {
    const bridge = await this.#engine.inspectNetwork(GATEWAY_BRIDGE);
    this.#gatewayAddresses = new Map(
      Object.entries(bridge?.containers ?? {}).map(([id, { address }]) => [id, address]),
    );
  }

  #isOverlay(networkId: string): boolean {
    return this.#networks.some(({ id, driver }) => id === networkId && driver === 'overlay');
  }
}
