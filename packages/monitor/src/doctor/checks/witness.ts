import { hasAddress, processStart } from '../../reconcile/container-process.ts';
import { ok, skipped, type Check } from '../check.ts';
import { setsPacketRules } from './rights.ts';

/** Who vouches for containers while the engine does not answer; see docs/adr/0031. */
export const witnessCheck: Check = {
  id: 'witness',
  title: 'While Docker hangs',
  about: 'vm',
  needs: ['engine', 'rights'],
  async run(facts) {
    const { settings, readText } = facts;
    if (!setsPacketRules(facts)) return skipped('containers on Windows are confirmed by Docker only');
    if (settings.wiring === 'attach') return skipped('with attach, containers are confirmed by Docker only');
    const { clients } = await facts.desired();
    const running = clients.flatMap(({ container: { pid }, addresses }) =>
      addresses.map(address => ({ pid, address })),
    );
    if (running.length === 0) return skipped('no client runs');
    const seesAll = running.every(
      ({ pid, address }) => processStart(readText, pid) !== undefined && hasAddress(readText, pid, address),
    );
    return ok(
      seesAll
        ? 'the processes of clients vouch for them'
        : 'clients are served until a container goes; with --pid host their processes would vouch for them longer',
    );
  },
};
