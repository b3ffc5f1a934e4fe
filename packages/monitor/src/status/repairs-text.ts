import type { GuardStatus } from '@msi-proxy/shared';

/** How often changes by others were undone, and when last; undefined when they never were. */
export function repairsText({ repairs, lastRepair }: GuardStatus): string | undefined {
  if (repairs === 0) return undefined;
  const times = repairs === 1 ? 'once' : `${repairs} times`;
  return `mended ${times}, last at ${lastRepair?.at ?? 'an unknown time'}`;
}
