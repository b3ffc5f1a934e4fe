import { MsiProxyError } from '@msi-proxy/shared';
import type { EngineClient, NetworkDetails } from '../docker/index.ts';
import type { ProxyBridge } from '../guard/vm-rules.ts';

export interface ProxyNetworkOptions {
  readonly engine: Pick<EngineClient, 'inspectNetwork' | 'createNetwork'>;
  readonly name: string;
  /** For a network that is made here; the engine chooses when it is left out. */
  readonly subnet?: string;
  /** For a network that is made here: `nat` is what engines for Windows have in place of `bridge`. */
  readonly driver: ProxyNetworkDriver;
}

export type ProxyNetworkDriver = (typeof DRIVERS)[number];

export interface ProxyNetwork {
  readonly name: string;
  readonly id: string;
  readonly bridge: ProxyBridge;
}

// Interface names end after 15 characters; a fixed one can be told in rules and documentation.
const BRIDGE_NAME = 'msi-proxy0';
const BRIDGE_NAME_OPTION = 'com.docker.network.bridge.name';
const DRIVERS = ['bridge', 'nat'] as const;
const ID_LENGTH_IN_BRIDGE_NAME = 12;

/**
 * The network that proxies are on, made if it is not there. The proxies have a bridge of their own, because that is how
 * packet rules tell them from all other containers.
 *
 * @throws {MsiProxyError} `MSI_WIRING_NOT_APPLICABLE` when there is one by that name that cannot serve
 */
export async function ensureProxyNetwork({
  engine,
  name,
  subnet,
  driver,
}: ProxyNetworkOptions): Promise<ProxyNetwork> {
  const existing = await engine.inspectNetwork(name);
  if (existing !== undefined) return readProxyNetwork(existing);
  await engine.createNetwork({
    name,
    driver,
    options: driver === 'bridge' ? { [BRIDGE_NAME_OPTION]: BRIDGE_NAME } : {},
    labels: {},
    ...(subnet !== undefined && { subnet }),
  });
  const created = await engine.inspectNetwork(name);
  if (created === undefined)
    throw new MsiProxyError('MSI_ENGINE_REQUEST', `The network "${name}" was made but is not there`);
  return readProxyNetwork(created);
}

function readProxyNetwork({ id, name, driver, internal, options, gateway }: NetworkDetails): ProxyNetwork {
  if (!DRIVERS.some(known => known === driver) || internal || gateway === undefined) {
    const found = `driver "${driver}"${internal ? ', internal' : ''}${gateway === undefined ? ', without a gateway' : ''}`;
    throw new MsiProxyError(
      'MSI_WIRING_NOT_APPLICABLE',
      `The network "${name}" cannot be the proxies' network: it has ${found}; expected a bridge network that is not internal (a NAT network on Windows)`,
    );
  }
  const interfaceName = options[BRIDGE_NAME_OPTION] ?? `br-${id.slice(0, ID_LENGTH_IN_BRIDGE_NAME)}`;
  return { name, id, bridge: { interfaceName, gateway } };
}
