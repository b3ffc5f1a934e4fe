import { codeOf } from '@msi-proxy/shared';
import type { ContainerDetails, ContainerSummary, EngineClient, NetworkDetails } from '../docker/index.ts';
import type { EngineSnapshot } from './desired-state.ts';
import { isAsListed } from './listing.ts';
import { Places } from './places.ts';
import { SharedReading } from './shared-reading.ts';

/** Docker's network through which overlay tasks reach the outside. */
const GATEWAY_BRIDGE = 'docker_gwbridge';

/** Whether it has addresses: a paused container keeps them. */
export function isRunning({ state }: Pick<ContainerDetails, 'state'>): boolean {
  return state === 'running' || state === 'paused';
}

/** Of a reading of many, so that places are left for whoever has a question of his own. */
const PARALLEL_INSPECTS = 8;

// Docker answers 33 inspects at once in the time of a few; more only queue there.
const MAX_INSPECTS = 32;

/**
 * So many of those that the list does not show to have changed are read at each {@link Inventory.readChanged}, so that each is read
 * from time to time and the cost of it does not grow with their number.
 */
const READ_ANEW_EACH_TIME = 50;

/** What an engine answers that serves others: it fails at this one, or its answer about this one does not come in time. */
const OF_ONE_CONTAINER: readonly (string | undefined)[] = ['MSI_ENGINE_REQUEST', 'MSI_ENGINE_UNRESPONSIVE'];

export interface ReadOptions {
  /** Somebody waits for it: it goes before those of which nobody does. */
  readonly urgent?: boolean;
}

export interface ReadAllOptions {
  /**
   * Goes on without the containers that the engine does not tell about while it tells about others: its answer about one
   * waits for what is done to that one, for as long as that hangs. See {@link Inventory.unreadable}.
   */
  readonly mayMiss?: boolean;
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
  /** Ids of those, the one that was read longest ago first. */
  readonly #readLongestAgo = new Set<string>();
  readonly #reads = new Map<string, Reads>();
  readonly #places = new Places(MAX_INSPECTS);
  readonly #newReading = new SharedReading(() => this.#readNew());
  readonly #networkReading = new SharedReading(() => this.#readNetworks());
  readonly #gatewayReading = new SharedReading(() => this.#readGatewayAddresses());
  readonly #unreadable = new Map<string, Error>();
  /** Of those, the ones that were never read: what is known of them is in the engine's list of all. */
  readonly #listedOnly = new Set<string>();
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
      listedOnly: new Set(this.#listedOnly),
    };
  }

  get containerIds(): readonly string[] {
    return [...this.#containers.keys()];
  }

  /** Whether the engine is asked about so many containers at once that further questions make all of them wait. */
  get isBusy(): boolean {
    return this.#places.taken >= PARALLEL_INSPECTS;
  }

  /** Why, by id, containers could not be read when they were to be read last. Those that were read before are as they were. */
  get unreadable(): ReadonlyMap<string, Error> {
    return this.#unreadable;
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
    const isThere = container !== undefined && isRunning(container);
    // First: how a client is wired depends on its networks, and others compute meanwhile what should be.
    if (isThere) await this.#readUnknown(container);
    this.#unreadable.delete(id);
    this.#listedOnly.delete(id);
    this.#readLongestAgo.delete(id);
    if (!isThere) {
      this.#containers.delete(id);
      if (this.#gatewayAddresses.has(id)) await this.#gatewayReading.read();
      return undefined;
    }
    this.#containers.set(container.id, container);
    this.#readLongestAgo.add(container.id);
    // One that has left its overlay network has left this bridge too, and its address there is free for others.
    const mayHaveLeft = this.#gatewayAddresses.has(container.id);
    if (mayHaveLeft || container.networks.some(({ networkId }) => this.#isOverlay(networkId)))
      await this.#gatewayReading.read();
    return container;
  }

  /** Reads what has to be known of a container beyond itself, and is not known yet. */
  async #readUnknown({ platform, networks }: ContainerDetails): Promise<void> {
    if (platform === 'windows' && this.#defaultIsolation === '')
      this.#defaultIsolation = await this.#engine.defaultIsolation();
    const known = new Set(this.#networks.map(network => network.id));
    if (networks.some(({ networkId }) => networkId !== '' && !known.has(networkId)))
      await this.readNetworks();
  }

  async readNetworks(): Promise<void> {
    await this.#networkReading.read();
  }

  async #readNetworks(): Promise<void> {
    this.#networks = await this.#engine.listNetworks();
    if (this.#networks.some(({ name }) => name === GATEWAY_BRIDGE)) await this.#gatewayReading.read();
  }

  /**
   * Reads everything.
   *
   * @returns ids of those about which the engine has told, at a time after this call
   */
  async readAll({ mayMiss = false }: ReadAllOptions = {}): Promise<ReadonlySet<string>> {
    await this.readNetworks();
    const listed = await this.#engine.listContainers();
    // Those that are known but not listed are read too: they may have started after the list was made.
    const ids = new Set([...listed.map(({ id }) => id), ...this.containerIds]);
    return await this.#readListed(ids, listed, mayMiss);
  }

  /**
   * Reads networks, the containers that are not as the engine's list shows them, and some of the others: of thousands, the list
   * costs an engine what a few inspects do. Goes on without those about which the engine does not tell.
   *
   * @returns as {@link readAll}. Of those that it leaves out only the list was seen, which shows a container that ends as it was
   *   until the engine is done with it, also when its address is free already.
   */
  async readChanged(): Promise<ReadonlySet<string>> {
    await this.readNetworks();
    const listed = await this.#engine.listContainers();
    const present = new Set(listed.map(({ id }) => id));
    const changed = listed.filter(summary => !this.#isKnownAs(summary)).map(({ id }) => id);
    const gone = this.containerIds.filter(id => !present.has(id));
    const longestAgo = [...this.#readLongestAgo].slice(0, READ_ANEW_EACH_TIME);
    return await this.#readListed(new Set([...changed, ...gone, ...longestAgo]), listed, true);
  }

  #isKnownAs(summary: ContainerSummary): boolean {
    const container = this.#containers.get(summary.id);
    return container !== undefined && !this.#unreadable.has(summary.id) && isAsListed(container, summary);
  }

  async #readListed(
    ids: ReadonlySet<string>,
    listed: readonly ContainerSummary[],
    mayMiss: boolean,
  ): Promise<ReadonlySet<string>> {
    const failures = await this.#readContainers(ids);
    const [first] = failures.values();
    if (first === undefined) return ids;
    if (!mayMiss || failures.size === ids.size) throw first;
    await this.#missContainers(failures, listed);
    return new Set([...ids].filter(id => !failures.has(id)));
  }

  /**
   * Reads the containers that have come or gone since the last reading: cheaper than {@link readAll}. Somebody waits for it.
   */
  async readNew(): Promise<void> {
    await this.#newReading.read();
  }

  async #readNew(): Promise<void> {
    const listed = await this.#engine.listContainers();
    const present = new Set(listed.map(({ id }) => id));
    const come = [...present].filter(id => !this.#containers.has(id));
    const gone = this.containerIds.filter(id => !present.has(id));
    const failures = await this.#readContainers(new Set([...come, ...gone]), { urgent: true });
    if (failures.size > 0) await this.#missContainers(failures, listed);
  }

  /** @returns what went wrong, by id */
  async #readContainers(all: ReadonlySet<string>, options?: ReadOptions): Promise<Map<string, Error>> {
    const ids = [...all];
    const failures = new Map<string, Error>();
    const worker = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        await this.readContainer(id, options).catch((error: unknown) => failures.set(id, error as Error));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_INSPECTS }, worker));
    return failures;
  }

  /** @throws the first of the failures that are not of single containers */
  async #missContainers(
    failures: ReadonlyMap<string, Error>,
    listed: readonly ContainerSummary[],
  ): Promise<void> {
    for (const error of failures.values()) if (!OF_ONE_CONTAINER.includes(codeOf(error))) throw error;
    await this.#engine.ping();
    for (const [id, error] of failures) {
      const wasRead = this.#containers.has(id) && !this.#listedOnly.has(id);
      const summary = listed.find(each => each.id === id && isRunning(each));
      if (wasRead || summary !== undefined) this.#unreadable.set(id, error);
      else this.#unreadable.delete(id);
      if (wasRead) continue;
      this.#listedOnly.delete(id);
      this.#containers.delete(id);
      this.#readLongestAgo.delete(id);
      if (summary === undefined) continue;
      this.#listedOnly.add(id);
      this.#containers.set(id, asFarAsListed(summary));
    }
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

function asFarAsListed({ createdAt, ...listed }: ContainerSummary): ContainerDetails {
  return {
    ...listed,
    platform: 'linux',
    startedAt: createdAt,
    pid: 0,
    sandboxKey: '',
    mayForgePackets: true,
    isolation: '',
  };
}
