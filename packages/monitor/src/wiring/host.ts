import { type Clock, MsiProxyError } from '@msi-proxy/shared';
import type { VmRules } from '../guard/vm-rules.ts';
import type { ProxyEndpoint } from './proxy-endpoint.ts';
import type { ApplyResult, Suitability, WirableClient, WiringMethod } from './wiring-method.ts';

export interface HostWiringDependencies {
  readonly rules: Pick<VmRules, 'target' | 'drift'>;
  /** Name of the network that the proxies are on. */
  readonly proxyNetwork: string;
  /** {@link routesInternalNetworks} */
  readonly internalNetworksAreRouted: () => boolean;
  readonly clock: Clock;
  /** Settles when there is time for a look at the rules. */
  readonly lull: () => Promise<void>;
}

/**
 * How long a look at the rules that found nothing serves all clients: they share the rules, and a look starts programs.
 * What changes meanwhile is the rule keeper's business, which mends it for all.
 */
const LOOK_LASTS_MILLIS = 1_000;

/** Networks whose containers reach the outside over a bridge of the VM; overlay tasks by `docker_gwbridge`. */
const BRIDGED_DRIVERS: readonly string[] = ['bridge', 'overlay'];

/** API version of Docker Engine 25, from which on containers on internal networks only have no default route. */
const INTERNAL_WITHOUT_ROUTE_API = 1.44;

/**
 * Whether containers on nothing but internal networks have a default route. Docker Engine 25 and later give them none
 * (moby/moby 419f5a6), so that their requests do not even leave them.
 */
export function routesInternalNetworks(apiVersion: string | undefined): boolean {
  return Number(apiVersion ?? 0) < INTERNAL_WITHOUT_ROUTE_API;
}

/** Whether the packet rules of the VM can redirect the client's requests. */
export function suitsHost(
  { platform, networks }: Pick<WirableClient, 'platform' | 'networks'>,
  {
    proxyNetwork,
    internalNetworksAreRouted,
  }: { readonly proxyNetwork: string; readonly internalNetworksAreRouted: boolean },
): Suitability {
  if (platform !== 'linux') return unsuitable(`its platform is ${platform}`);
  if (!networks.some(({ address }) => address !== '')) return unsuitable('it has no address of its own');
  if (networks.some(({ name }) => name === proxyNetwork)) {
    // What comes from there is not redirected: the answer would go past the VM, from an address that was not asked.
    return unsuitable(`it is on the proxies' network ${proxyNetwork}`);
  }
  // Which of several networks has the default route is the engine's choice, and changes when networks come and go.
  const elsewhere = networks.find(({ driver }) => !BRIDGED_DRIVERS.includes(driver));
  if (elsewhere !== undefined) {
    return unsuitable(
      `its requests may leave by the network ${elsewhere.name} (${elsewhere.driver}), which does not cross a bridge of the VM`,
    );
  }
  if (networks.every(({ internal }) => internal) && !internalNetworksAreRouted) {
    return unsuitable('it is on internal networks only, where this engine gives it no default route');
  }
  return { suitable: true };
}

/** Nothing is done in or for the single container: the packet rules of the VM redirect all of them. */
export function createHostWiring(dependencies: HostWiringDependencies): WiringMethod {
  return new HostWiring(dependencies);
}

class HostWiring implements WiringMethod {
  readonly name = 'host';
  readonly movesWithProxy = true;
  readonly #rules: HostWiringDependencies['rules'];
  readonly #proxyNetwork: string;
  readonly #internalNetworksAreRouted: () => boolean;
  readonly #clock: Clock;
  readonly #lull: HostWiringDependencies['lull'];
  #lastGoodLookMillis = -Infinity;

  constructor({ rules, proxyNetwork, internalNetworksAreRouted, clock, lull }: HostWiringDependencies) {
    this.#rules = rules;
    this.#clock = clock;
    this.#lull = lull;
    this.#proxyNetwork = proxyNetwork;
    this.#internalNetworksAreRouted = internalNetworksAreRouted;
  }

  suits(client: WirableClient): Suitability {
    return suitsHost(client, {
      proxyNetwork: this.#proxyNetwork,
      internalNetworksAreRouted: this.#internalNetworksAreRouted(),
    });
  }

  async apply(): Promise<ApplyResult> {
    return await Promise.resolve('unchanged');
  }

  async verify(_client: WirableClient, target: ProxyEndpoint): Promise<void> {
    await this.#lookAtRules();
    const current = this.#rules.target;
    if (current?.address !== target.address || current.port !== target.port) {
      throw notEffective('the packet rules of the VM send requests elsewhere');
    }
  }

  async remove(): Promise<void> {
    await Promise.resolve();
  }

  async #lookAtRules(): Promise<void> {
    if (this.#clock.monotonicMillis() - this.#lastGoodLookMillis < LOOK_LASTS_MILLIS) return;
    await this.#lull();
    const drift = await this.#rules.drift();
    if (drift.length > 0) throw notEffective(`the packet rules of the VM differ: ${drift.join('; ')}`);
    // From its end on: on a busy machine it takes longer than it lasts.
    this.#lastGoodLookMillis = this.#clock.monotonicMillis();
  }
}

function unsuitable(reason: string): Suitability {
  return { suitable: false, reason };
}

function notEffective(reason: string): MsiProxyError {
  return new MsiProxyError('MSI_WIRING_NOT_EFFECTIVE', `Requests do not reach the proxy: ${reason}`);
}
