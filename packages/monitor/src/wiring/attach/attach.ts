import { IMDS_ADDRESS, IMDS_PORT, MsiProxyError } from '@msi-proxy/shared';
import type { ApplyResult, ProxyTarget, Suitability, WirableClient, WiringMethod } from '../wiring-method.ts';
import type { LinkNetwork } from './link-network.ts';

/** Drivers of the engine's networks `host` and `none`, whose containers cannot be on further networks. */
const SOLE_NETWORKS: readonly string[] = ['host', 'null'];

/** Puts the client on a network on which the proxy has the address of IMDS. Needs nothing but the engine's API. */
export function createAttachWiring(link: LinkNetwork): WiringMethod {
  return new AttachWiring(link);
}

class AttachWiring implements WiringMethod {
  readonly name = 'attach';
  readonly movesWithProxy = true;
  readonly #link: LinkNetwork;

  constructor(link: LinkNetwork) {
    this.#link = link;
  }

  suits({ platform, networks }: WirableClient): Suitability {
    if (platform !== 'linux') return { suitable: false, reason: `its platform is ${platform}` };
    const sole = networks.find(({ driver }) => SOLE_NETWORKS.includes(driver));
    if (sole !== undefined) return { suitable: false, reason: `it is on the network ${sole.name}` };
    return { suitable: true };
  }

  async apply(client: WirableClient, target: ProxyTarget): Promise<ApplyResult> {
    if (target.port !== IMDS_PORT) {
      const reason = `the proxy listens on port ${target.port}; with attach nothing translates ports, so it must be ${IMDS_PORT} (MSI_PROXY_LISTEN)`;
      throw new MsiProxyError('MSI_WIRING_NOT_APPLICABLE', `${client.name} cannot be wired: ${reason}`);
    }
    const moved = await this.#link.giveAddress(target.containerId);
    const { containers } = await this.#link.ensure();
    if (containers[client.containerId] !== undefined) return moved ? 'repaired' : 'unchanged';
    await this.#link.connect(client.containerId);
    return 'applied';
  }

  async verify({ containerId, name }: WirableClient, target: ProxyTarget): Promise<void> {
    const network = await this.#link.read();
    if (network?.containers[target.containerId]?.address !== IMDS_ADDRESS) {
      throw notEffective(name, `the proxy does not have the address ${IMDS_ADDRESS}`);
    }
    if ((network.containers[containerId]?.address ?? '') === '') {
      throw notEffective(name, `it is not on the network ${network.name}`);
    }
  }

  async remove({ containerId }: WirableClient): Promise<void> {
    await this.#link.disconnect(containerId);
  }
}

function notEffective(client: string, reason: string): MsiProxyError {
  return new MsiProxyError('MSI_WIRING_NOT_EFFECTIVE', `${client} does not reach the proxy: ${reason}`);
}
