import { hasClientLabel, hasProxyLabel, printable } from '@msi-proxy/shared';
import type { ContainerDetails } from '../../docker/index.ts';
import { sharersOf, type EngineSnapshot } from '../../reconcile/desired-state.ts';
import { ok, warning, type Check } from '../check.ts';
import { listed } from '../listed.ts';

/** Networks whose containers are on one wire with each other. */
const SHARED_WIRES: readonly string[] = ['bridge', 'macvlan', 'ipvlan'];

/**
 * Containers beside a client that could take over its address: by ARP, with the capability NET_RAW, which Docker gives to
 * all that do not give it up (docs/security.md).
 */
export const neighboursCheck: Check = {
  id: 'neighbours',
  title: 'Neighbours',
  about: 'always',
  needs: ['engine', 'client-label'],
  async run({ subject, container, snapshot }) {
    const world = await snapshot();
    const named = subject.container === undefined ? undefined : await container();
    const clients =
      named === undefined ? world.containers.filter(({ labels }) => hasClientLabel(labels)) : [named];
    const forgers = new Set(
      clients.flatMap(client => possibleForgers(client, world)).map(({ name }) => printable(name)),
    );
    const whom = named === undefined ? 'clients' : 'it';
    if (forgers.size === 0) return ok(`nobody with NET_RAW is on a network with ${whom}`);
    return warning(
      `on a network with ${whom} and with NET_RAW, so that they could take over an address: ${listed([...forgers])}`,
      'Start them with --cap-drop NET_RAW, or give clients that may have more than their neighbours a network of their own (docs/security.md).',
    );
  },
};

function possibleForgers(
  client: ContainerDetails,
  { containers, networks }: EngineSnapshot,
): ContainerDetails[] {
  const wires = new Set(networks.filter(({ driver }) => SHARED_WIRES.includes(driver)).map(({ id }) => id));
  const own = client.networks.map(({ networkId }) => networkId).filter(id => wires.has(id));
  const family = new Set([client.id, ...sharersOf(client.id, containers).map(({ id }) => id)]);
  return containers.filter(
    other =>
      other.mayForgePackets &&
      !family.has(other.id) &&
      !hasProxyLabel(other.labels) &&
      other.networks.some(({ networkId, address }) => address !== '' && own.includes(networkId)),
  );
}
