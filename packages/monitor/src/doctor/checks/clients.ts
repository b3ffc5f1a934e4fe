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
    if (unserved.length === 0) return ok(`${clients.length} labelled containers, all wired`);
    const reasons = unserved.map(
      ({ name, state, reason }) => `${name} is ${state}${reason === undefined ? '' : ` (${reason})`}`,
    );
    return warning(
      `${unserved.length} of ${clients.length} labelled containers are not wired: ${listed(reasons, '; ')}`,
      `Ask about one: msi-monitor doctor ${unserved[0]?.name ?? ''}.`,
    );
  },
};
