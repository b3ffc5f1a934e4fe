import { IMDS_ADDRESS, MsiProxyError } from '@msi-proxy/shared';
import type { EngineClient, NetworkDetails, NetworkMember } from '../../docker/index.ts';
import { Turns } from '../../guard/turns.ts';

export type LinkEngine = Pick<
  EngineClient,
  | 'inspectNetwork'
  | 'listNetworkMembers'
  | 'createNetwork'
  | 'connectNetwork'
  | 'disconnectNetwork'
  | 'removeNetwork'
>;

export const LINK_NETWORK = 'msi-proxy-link';
/** A fixed name, so that the guard can tell the traffic of this bridge. */
export const LINK_BRIDGE = 'msi-link0';

const SUBNET = '169.254.169.0/24';
/** The engine gives clients addresses of the lower half, never the one of IMDS. */
const CLIENT_RANGE = '169.254.169.0/25';
/** Without it the bridge would have an address of the VM's own there, and the VM a route past the real IMDS. */
const WITHOUT_HOST_ADDRESS = 'com.docker.network.bridge.inhibit_ipv4';
const BRIDGE_NAME = 'com.docker.network.bridge.name';

/** The network on which the serving proxy has the address of IMDS. The containers on it are all that reach it there. */
export class LinkNetwork {
  readonly #engine: LinkEngine;
  readonly #turns = new Turns();
  /** Who has the address, and nobody else asks for it, as far as this process has seen to it. */
  #soleHolder: string | undefined;

  constructor(engine: LinkEngine) {
    this.#engine = engine;
  }

  /** Reads the network, with the addresses of the running containers on it; undefined when it is not there. */
  async read(): Promise<NetworkDetails | undefined> {
    return await this.#engine.inspectNetwork(LINK_NETWORK);
  }

  /**
   * Makes the network if it is not there.
   *
   * @throws {MsiProxyError} `MSI_WIRING_NOT_APPLICABLE` when there is one by that name that cannot serve
   */
  async ensure(): Promise<NetworkDetails> {
    return await this.#turns.change(() => this.#ensure());
  }

  /**
   * Gives the address of IMDS to this container, and takes it from the one that has it. The container must have been told
   * before (`set-route`): from then on the address is its own.
   *
   * @returns whether anything was changed
   */
  async giveAddress(containerId: string): Promise<boolean> {
    return await this.#turns.change(async () => {
      const { containers } = await this.#ensure();
      const [holder] = Object.entries(containers).find(([, { address }]) => address === IMDS_ADDRESS) ?? [];
      if (holder === containerId && this.#soleHolder === containerId) return false;
      // One that stopped would ask for the address again at its next start, and could not start without it.
      const askers = (await this.#members())
        .filter(({ askedAddress }) => askedAddress === IMDS_ADDRESS)
        .map(member => member.containerId);
      for (const other of new Set([...askers, ...(holder === undefined ? [] : [holder])]))
        if (other !== containerId) await this.#engine.disconnectNetwork(LINK_NETWORK, other);
      this.#soleHolder = containerId;
      if (holder === containerId) return false;
      // Somebody may have connected it at another address, and what the engine could not connect it keeps half connected.
      await this.#engine.disconnectNetwork(LINK_NETWORK, containerId);
      await this.#engine.connectNetwork(LINK_NETWORK, containerId, { address: IMDS_ADDRESS });
      return true;
    });
  }

  /** Success also when the container is on it already. */
  async connect(containerId: string): Promise<void> {
    await this.#engine.connectNetwork(LINK_NETWORK, containerId);
  }

  /** Success also when the container, or the network, is not there. */
  async disconnect(containerId: string): Promise<void> {
    await this.#engine.disconnectNetwork(LINK_NETWORK, containerId);
  }

  /**
   * Disconnects everything and removes the network.
   *
   * @returns whether there was one
   */
  async remove(): Promise<boolean> {
    return await this.#turns.change(async () => {
      const network = await this.read();
      if (network === undefined) return false;
      // Also those that do not run: they could not start again without a network that they are on.
      const members = (await this.#members()).map(({ containerId }) => containerId);
      for (const containerId of new Set([...members, ...Object.keys(network.containers)]))
        await this.disconnect(containerId);
      await this.#engine.removeNetwork(LINK_NETWORK);
      return true;
    });
  }

  /** Who may run with it, now or later. From what the engine is removing it disconnects nothing. */
  async #members(): Promise<NetworkMember[]> {
    const members = await this.#engine.listNetworkMembers(LINK_NETWORK);
    return members.filter(({ state }) => state !== 'removing' && state !== 'dead');
  }

  async #ensure(): Promise<NetworkDetails> {
    const existing = await this.read();
    if (existing !== undefined) return checked(existing);
    await this.#engine.createNetwork({
      name: LINK_NETWORK,
      driver: 'bridge',
      internal: true,
      labels: {},
      options: { [WITHOUT_HOST_ADDRESS]: 'true', [BRIDGE_NAME]: LINK_BRIDGE },
      subnet: SUBNET,
      addressRange: CLIENT_RANGE,
    });
    const created = await this.read();
    if (created === undefined)
      throw new MsiProxyError(
        'MSI_ENGINE_REQUEST',
        `The network "${LINK_NETWORK}" was made but is not there`,
      );
    return checked(created);
  }
}

function checked(network: NetworkDetails): NetworkDetails {
  const { driver, internal, subnet = 'none', options } = network;
  const found = [
    ...(driver === 'bridge' ? [] : [`driver "${driver}"`]),
    ...(internal ? [] : ['not internal']),
    ...(subnet === SUBNET ? [] : [`subnet ${subnet}`]),
    ...(options[WITHOUT_HOST_ADDRESS] === 'true' ? [] : [`no option ${WITHOUT_HOST_ADDRESS}=true`]),
  ];
  if (found.length === 0) return network;
  throw new MsiProxyError(
    'MSI_WIRING_NOT_APPLICABLE',
    `The network "${LINK_NETWORK}" cannot lead clients to the proxy: ${found.join(', ')}; remove it, and the monitor makes it as it should be`,
  );
}
