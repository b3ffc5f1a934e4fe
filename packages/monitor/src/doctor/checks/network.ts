import { failed, ok, skipped, warning, type Check, type Finding } from '../check.ts';
import type { DesiredClient } from '../../reconcile/desired-state.ts';

const BRIDGED: readonly string[] = ['bridge', 'overlay', 'nat'];

/** Its requests leave it by a way that can be brought to the proxy. */
export const networkCheck: Check = {
  id: 'network',
  title: 'Network',
  about: 'container',
  needs: ['container'],
  async run({ container, snapshot, client, settings }) {
    const details = await container();
    if (details === undefined) return skipped('there is no container');
    if (details.networkMode === 'host') {
      return failed(
        'it is on the network of the VM (--network host), which reaches IMDS directly and is never wired',
        'Start it on a bridge network. On the VM’s network no label restricts it.',
      );
    }
    if (details.networkMode === 'none') {
      return failed(
        'it is on no network (--network none)',
        'Start it on a bridge network, or connect it to one.',
      );
    }
    const { networks } = await snapshot();
    const driverOf = (id: string) => networks.find(network => network.id === id)?.driver ?? 'unknown';
    if (details.networkMode.startsWith('container:')) return shared(await client());
    const attached = details.networks.map(({ name, networkId, address }) => ({
      name,
      address,
      driver: driverOf(networkId),
    }));
    const seen = attached.map(({ name, driver, address }) => `${name} (${driver}) ${address}`).join(', ');
    if (attached.every(({ address }) => address === '')) {
      return failed(`it has no address: ${seen}`, 'Connect it to a bridge network: docker network connect.');
    }
    const elsewhere = attached.find(({ driver }) => !BRIDGED.includes(driver));
    if (elsewhere !== undefined && !['nat', 'attach'].includes(settings.wiring)) {
      return warning(
        `${seen}: requests may leave by ${elsewhere.name} (${elsewhere.driver}), which crosses no bridge of the VM`,
        'It can be wired inside its own namespace (nat): run the monitor with --pid host --cap-add SYS_ADMIN --cap-add SYS_PTRACE too.',
      );
    }
    return ok(seen);
  },
};

function shared(client: DesiredClient | undefined): Finding {
  if (client === undefined) return skipped('it shares the network of another container');
  if (client.addresses.length > 0)
    return ok(`it shares the network of another container, at ${client.addresses.join(', ')}`);
  const reason = client.plan.kind === 'refuse' ? client.plan.reason : 'no address is known';
  return failed(reason, 'Start the container whose network it shares.');
}
