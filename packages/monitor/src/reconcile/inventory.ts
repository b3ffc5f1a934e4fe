import type { ContainerDetails, EngineClient, NetworkDetails } from '../docker/index.ts';
import type { EngineSnapshot } from './desired-state.ts';
import { Places } from './places.ts';
import { SharedReading } from './shared-reading.ts';

/** Docker's network through which overlay tasks reach the outside. */
const GATEWAY_BRIDGE = 'docker_gwbridge';

/** A paused container keeps its addresses. */
const RUNNING: readonly string[] = ['running', 'paused'];

/** Of a reading of many, so that places are left for whoever has a question of his own. */
const PARALLEL_INSPECTS = 8;

// Docker answers 33 inspects at once in the time of a few; more only queue there.
const MAX_INSPECTS = 32;

export interface ReadOptions {
  /** Somebody waits for it: it goes before those of which nobody does. */
  readonly urgent?: boolean;
}

/** Of one container. */
interface Reads {
  readonly reading: SharedReading<ContainerDetails | undefined>;
  isUrgent: boolean;
}

/** What the engine has, as last read. Only reading changes it: nothing is concluded from events. */
export class Inventory {
  readonly #engine: EngineClient;
  readonly #containers = new Map<string, ContainerDetails>();
  readonly #reads = new Map<string, Reads>();
  readonly #places = new Places(MAX_INSPECTS);
  readonly #newReading = new SharedReading(() => this.#readNew());
  readonly #gatewayReading = new SharedReading(() => this.#readGatewayAddresses());
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
   * Reads one container, at a time after this call: see {@link SharedReading}.
   *
   * @returns what it is now; `undefined` when it does not run
   */
  async readContainer(
    id: string,
    { urgent = false }: ReadOptions = {},
  ): Promise<ContainerDetails | undefined> {
    const reads = this.#reads.get(id) ?? this.#newReads(id);
    this.#reads.set(id, reads);
    reads.isUrgent ||= urgent;
    try {
      return await reads.reading.read();
    } finally {
      if (reads.reading.isIdle) this.#reads.delete(id);
    }
  }

  #newReads(id: string): Reads {
    const inspect = () =>
      this.#places.use(
        () => this.#inspect(id),
        () => reads.isUrgent,
      );
    const reads: Reads = { reading: new SharedReading(inspect), isUrgent: false };
    return reads;
  }

  async #inspect(id: string): Promise<ContainerDetails | undefined> {
    const container = await this.#engine.inspectContainer(id);
    if (container === undefined || !RUNNING.includes(container.state)) {
      this.#containers.delete(id);
      if (this.#gatewayAddresses.has(id)) await this.#gatewayReading.read();
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
      await this.#gatewayReading.read();
    return container;
  }

  async readNetworks(): Promise<void> {
    this.#networks = await this.#engine.listNetworks();
    if (this.#networks.some(({ name }) => name === GATEWAY_BRIDGE)) await this.#gatewayReading.read();
  }

  /** Reads everything. */
  async readAll(): Promise<void> {
    await this.readNetworks();
    const listed = await this.#engine.listContainers();
    // Those that are known but not listed are read too: they may have started after the list was made.
    await this.#readContainers(new Set([...listed.map(({ id }) => id), ...this.containerIds]));
  }

  /**
   * Reads the containers that have come or gone since the last reading: cheaper than {@link readAll}. Somebody waits for it.
   */
  async readNew(): Promise<void> {
    await this.#newReading.read();
  }

  async #readNew(): Promise<void> {
    const listed = new Set((await this.#engine.listContainers()).map(({ id }) => id));
    const come = [...listed].filter(id => !this.#containers.has(id));
    const gone = this.containerIds.filter(id => !listed.has(id));
    await this.#readContainers(new Set([...come, ...gone]), { urgent: true });
  }

  async #readContainers(all: ReadonlySet<string>, options?: ReadOptions): Promise<void> {
    const ids = [...all];
    const worker = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) await this.readContainer(id, options);
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
