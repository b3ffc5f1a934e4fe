import { createHash } from 'node:crypto';

/** Of the network namespace of this process, which a path by its id is not. */
const INTERFACES_FILE = '/proc/self/net/dev';

/**
 * The network interfaces of the VM, as a short text to compare. Docker makes one with a new name for each container on a bridge
 * before that gets its address, and takes it away when it ends: as long as this text is the same, no address on a bridge
 * has changed hands.
 *
 * @param readText gives the text of a file; undefined when there is none
 * @param bridge an interface that only the VM's own namespace has
 * @returns undefined when this process does not see them
 */
export function readVmLinks(
  readText: (path: string) => string | undefined,
  bridge: string,
): string | undefined {
  const [, , ...lines] = (readText(INTERFACES_FILE) ?? '').split('\n');
  // `  name: 1 2 3`, where a name may have colons, but no spaces.
  const names = lines.map(line => line.trim().replace(/:(?= ).*|:\d+ .*/, '')).filter(name => name !== '');
  if (!names.includes(bridge)) return undefined;
  return createHash('sha256').update(names.sort().join(' ')).digest('base64');
}
