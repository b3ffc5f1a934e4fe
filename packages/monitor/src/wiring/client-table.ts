import { IMDS_ADDRESS, IMDS_PORT } from '@msi-proxy/shared';
import type { TableDefinition } from '../nft/table-definition.ts';
import { checkedEndpoint, type ProxyEndpoint } from './proxy-endpoint.ts';

export const CLIENT_TABLE = 'msi_proxy_client';

/** The table in the network namespace of a client that is wired by `nat`. */
export function clientTable(endpoint: ProxyEndpoint): TableDefinition {
  const { address, port } = checkedEndpoint(endpoint);
  return {
    name: CLIENT_TABLE,
    maps: [],
    chains: [
      {
        name: 'to_proxy',
        // Before Docker's rules for its DNS server. nft refuses `dstnat - 1` for output, whose number this is.
        hook: 'type nat hook output priority -101',
        comment: 'Sends requests for IMDS to the proxy',
        rules: [
          {
            match: `ip daddr ${IMDS_ADDRESS} tcp dport ${IMDS_PORT}`,
            verdict: `dnat to ${address}:${port}`,
            comment: 'to the proxy',
          },
        ],
      },
      {
        name: 'own_source',
        hook: 'type nat hook postrouting priority srcnat - 1',
        // The source was chosen for the route to IMDS, which may lead by another network than the one to the proxy.
        comment: 'Gives requests the address of the interface that they leave by',
        rules: [
          {
            match: `ct status dnat ct original ip daddr ${IMDS_ADDRESS}`,
            verdict: 'masquerade',
            comment: 'own address',
          },
        ],
      },
    ],
  };
}
