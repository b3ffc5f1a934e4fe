import { ok, warning, type Check } from '../check.ts';
import { listed } from '../listed.ts';

/** All labelled containers are served. */
export const clientsCheck: Check = {
  id: 'clients',
  title: 'Clients',
  about: 'vm',
  needs: ['monitor'],
  async run({ status }) {
    const { clients } = await status();
    const unserved = clients.filter(({ state }) => state !== 'wired');
    if (unserved.length === 0) return ok(`${counted(clients.length)}, all wired`);
    const reasons = unserved.map(
      ({ name, state, reason }) => `${name} is ${state}${reason === undefined ? '' : ` (${reason})`}`,
    );
    return warning(
      `not wired are ${unserved.length} of ${counted(clients.length)}: ${listed(reasons, '; ')}`,
      `Ask about one: msi-monitor doctor ${unserved[0]?.name ?? ''}.`,
    );
  },
};

function counted(count: number): string {
  return `${count} labelled container${count === 1 ? '' : 's'}`;
}
