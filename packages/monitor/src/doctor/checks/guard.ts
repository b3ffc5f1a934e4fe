import { IMDS_ADDRESS, MsiProxyError, type GuardStatus } from '@msi-proxy/shared';
import { Nft } from '../../nft/nft.ts';
import type { TableReading } from '../../nft/table-reading.ts';
import { GUARD_CHAIN, GUARD_RULES, VM_TABLE } from '../../guard/vm-table.ts';
import { repairsText } from '../../status/repairs-text.ts';
import { missingVmAccess } from '../../vm-access.ts';
import { failed, ok, skipped, warning, type Check, type Finding } from '../check.ts';
import type { Facts } from '../facts.ts';
import { setsPacketRules } from './rights.ts';

const MEND =
  'The monitor mends it within ten seconds: ask again, and see guard.lastRepair in msi-monitor status --json. If it comes back, another program changes the packet rules.';

/** The direct way to IMDS is shut: as the monitor says, and as the kernel has it. */
export const guardCheck: Check = {
  id: 'guard',
  title: 'Guard',
  about: 'always',
  async run(facts) {
    const said = await facts.status().then(
      ({ guard }) => guard,
      () => undefined,
    );
    const mode = said?.mode ?? facts.settings.guard;
    if (mode === 'off') {
      return warning(
        'MSI_MONITOR_GUARD is off: every container reaches IMDS directly, whatever its labels say',
        'Take the setting away, or set it to audit first and see who would be stopped.',
      );
    }
    if (said?.state === 'unavailable') {
      return warning(
        said.reason ?? 'there is none on this platform',
        'See docs/security.md and docs/windows.md.',
      );
    }
    if (said?.state === 'not-in-place') return failed(`it is not in place: ${said.reason ?? ''}`, MEND);
    const look = await kernelFinding(facts);
    if (look !== undefined) return look;
    return said === undefined ? skipped('no monitor tells, and the kernel cannot be asked') : describe(said);
  },
};

/** What the kernel has; undefined where all is there, or nobody may look. */
async function kernelFinding(facts: Facts): Promise<Finding | undefined> {
  if (!setsPacketRules(facts) || missingVmAccess(facts.readText) !== undefined) return undefined;
  let table: TableReading | undefined;
  try {
    table = await new Nft(facts.runner).read(VM_TABLE);
  } catch (error) {
    if (error instanceof MsiProxyError && error.code === 'MSI_WIRING_NO_CAPABILITY') return undefined;
    throw error;
  }
  if (table === undefined) {
    return failed(
      `the table ip ${VM_TABLE} is not there: every container reaches ${IMDS_ADDRESS} directly`,
      MEND,
    );
  }
  const comments = table.rules.get(GUARD_CHAIN)?.map(({ comment }) => comment) ?? [];
  const missing = GUARD_RULES.filter(rule => !comments.includes(rule));
  if (missing.length === 0) return undefined;
  return failed(`rules are missing from the chain ${GUARD_CHAIN}: ${missing.join(', ')}`, MEND);
}

function describe(guard: GuardStatus): Finding {
  const { mode, barrier, stopped } = guard;
  const repairs = repairsText(guard);
  const seen = [
    mode === 'audit' ? 'counts, but stops nobody (audit)' : 'the direct way is shut',
    ...(stopped.length === 0 ? [] : [`${stopped.length} sources tried it`]),
    ...(repairs === undefined ? [] : [repairs]),
  ].join('; ');
  if (mode === 'audit')
    return warning(seen, 'Set MSI_MONITOR_GUARD=enforce once nobody is counted any more.');
  if (barrier?.state === 'unavailable') {
    return warning(
      `${seen}; there is no second barrier in the routing: ${barrier.reason ?? 'the monitor does not say why'}`,
      'Install iproute2 where the monitor runs; without the barrier, whoever flushes the packet rules opens the way to IMDS for a moment.',
    );
  }
  return ok(seen);
}
