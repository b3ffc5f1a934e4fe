import { isIPv4 } from 'node:net';
import { MsiProxyError } from '@msi-proxy/shared';
import type { ProxyTarget, WirableClient } from './wiring-method.ts';

export type ProxyEndpoint = Pick<ProxyTarget, 'address' | 'port'>;

/**
 * Passes on what can be written into a packet rule.
 *
 * @throws {MsiProxyError} `MSI_INTERNAL` for anything else
 */
export function checkedEndpoint({ address, port }: ProxyEndpoint): ProxyEndpoint {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535)
    return { address: checkedAddress(address), port };
  throw unreachable(`${address}, port ${port}`);
}

/** As {@link checkedEndpoint}, for the address alone. */
export function checkedAddress(address: string): string {
  if (isIPv4(address)) return address;
  throw unreachable(address);
}

/** The proxy's address on a network that the client is on too; Docker keeps other networks apart. */
export function endpointFor({ networks }: WirableClient, target: ProxyTarget): ProxyEndpoint {
  const shared = networks.find(({ name }) => Object.hasOwn(target.addressesByNetwork, name));
  const address = shared === undefined ? target.address : target.addressesByNetwork[shared.name]!;
  return { address, port: target.port };
}

function unreachable(where: string): MsiProxyError {
  return new MsiProxyError('MSI_INTERNAL', `A proxy cannot be reached at ${JSON.stringify(where)}`);
}
