import type { ContainerDetails, EngineClient, NetworkDetails } from '../docker/index.ts';
import type { EngineSnapshot } from './desired-state.ts';

/** Docker's network through which overlay tasks reach the outside. */
const GATEWAY_BRIDGE = 'docker_gwbridge';

/** A paused container keeps its addresses. */
const RUNNING: readonly string[] = ['running', 'paused'];

// Docker answers 33 inspects at once in the time of a few; more only queue there.
const PARALLEL_INSPECTS = 8;

/** What the engine has, as last read. Only reading changes it: nothing is concluded from events. */
export class Inventory {
  readonly #engine: EngineClient;
  readonly #containers = new Map<string, ContainerDetails>();
  #networks: readonly NetworkDetails[] = [];
  #gatewayAddresses: ReadonlyMap<string, string> = new Map();

  constructor(engine: EngineClient) {
    this.#engine = engine;
  }

  get snapshot(): EngineSnapshot {
    return {
      containers: [...this.#containers.values()],
      networks: this.#networks,
      gatewayAddresses: this.#gatewayAddresses,
    };
  }

  get containerIds(): readonly string[] {
    return [...this.#containers.keys()];
  }

  container(id: string): ContainerDetails | undefined {
    return this.#containers.get(id);
  }

  /** Reads one container. @returns what it is now; `undefined` when it does not run */
  async readContainer(id: string): Promise<ContainerDetails | undefined> {
    const container = await this.#engine.inspectContainer(id);
    if (container === undefined || !RUNNING.includes(container.state)) {
      this.#containers.delete(id);
      return undefined;
    }
    this.#containers.set(container.id, container);
    const known = new Set(this.#networks.map(network => network.id));
    if (container.networks.some(({ networkId }) => networkId !== '' && !known.has(networkId)))
      await this.readNetworks();
    if (container.networks.some(({ networkId }) => this.#isOverlay(networkId)))
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
    const running = new Set(listed.map(({ id }) => id));
    for (const id of this.containerIds) if (!running.has(id)) this.#containers.delete(id);
    await this.#readContainers([...running]);
  }

  /** Reads the containers that are not known yet, and drops those that are gone: cheaper than {@link readAll}. */
  async readNew(): Promise<void> {
    const listed = await this.#engine.listContainers();
    const running = new Set(listed.map(({ id }) => id));
    for (const id of this.containerIds) if (!running.has(id)) this.#containers.delete(id);
    await this.#readContainers([...running].filter(id => !this.#containers.has(id)));
  }

  async #readContainers(ids: string[]): Promise<void> {
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
