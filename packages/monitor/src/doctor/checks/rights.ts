import { codeOf } from '@msi-proxy/shared';
import { lacksCapability, missingVmAccess, type Capability } from '../../vm-access.ts';
import { failed, ok, skipped, warning, type Check } from '../check.ts';
import type { Facts } from '../facts.ts';

/** Programs without which packet rules cannot be set. */
const NEEDED_PROGRAMS = ['nft', 'iptables'] as const;

/** What `nat` needs beside NET_ADMIN. */
const NAT_CAPABILITIES: readonly Capability[] = ['SYS_ADMIN', 'SYS_PTRACE'];

/** The rights and programs that packet rules need, of whoever runs this: best run where the monitor runs. */
export const rightsCheck: Check = {
  id: 'rights',
  title: 'Rights and tools',
  about: 'always',
  async run(facts) {
    const { wiring } = facts.settings;
    if (!setsPacketRules(facts))
      return skipped('Windows containers are wired from inside, without packet rules');
    if (wiring === 'attach') return skipped('attach needs nothing but the Docker API');
    const missing = missingVmAccess(facts.readText);
    if (missing !== undefined) {
      if ((await monitorHasRights(facts)) === true) {
        return skipped(
          `the monitor has them, but not this process (${missing}): packet rules are not looked at`,
        );
      }
      const remedy =
        'Run this where the monitor runs (docker exec msi-monitor msi-monitor doctor), and the monitor with --network host --cap-add NET_ADMIN.';
      return wiring === 'auto'
        ? warning(`${missing}: containers are wired by attach, and nobody is kept from IMDS`, remedy)
        : failed(missing, remedy);
    }
    const absent = await absentPrograms(facts, NEEDED_PROGRAMS);
    if (absent.length > 0) {
      return failed(
        `not installed: ${absent.join(', ')}`,
        `Install ${absent.join(' and ')} where the monitor runs.`,
      );
    }
    if ((await absentPrograms(facts, ['conntrack'])).length > 0) {
      return warning(
        'conntrack is not installed: connections to a proxy that died end only when clients give up',
        'Install conntrack where the monitor runs.',
      );
    }
    const lacking = NAT_CAPABILITIES.filter(capability => lacksCapability(capability, facts.readText));
    if (lacking.length > 0 && wiring === 'nat') {
      return failed(
        `no capability ${lacking.join(', ')}, which wiring inside namespaces of clients needs`,
        'Run the monitor with --pid host --cap-add SYS_ADMIN --cap-add SYS_PTRACE too.',
      );
    }
    const without =
      lacking.length === 0 ? '' : `; clients on macvlan or ipvlan would need ${lacking.join(', ')} too`;
    return ok(`NET_ADMIN on the VM’s network; nft, iptables and conntrack are installed${without}`);
  },
};

/** Whether there are packet rules of the VM at all. */
export function setsPacketRules({ platform, settings }: Pick<Facts, 'platform' | 'settings'>): boolean {
  return platform !== 'win32' && settings.containerOs !== 'windows';
}

/** Undefined when no monitor tells. */
async function monitorHasRights({ status }: Facts): Promise<boolean | undefined> {
  return await status().then(
    ({ guard }) => guard.state === 'in-place',
    () => undefined,
  );
}

async function absentPrograms({ runner }: Facts, programs: readonly string[]): Promise<string[]> {
  const absent = await Promise.all(
    programs.map(async program => {
      try {
        await runner.run(program, ['--version']);
        return [];
      } catch (error) {
        if (codeOf(error) === 'MSI_WIRING_NO_CAPABILITY') return [program];
        throw error;
      }
    }),
  );
  return absent.flat();
}
