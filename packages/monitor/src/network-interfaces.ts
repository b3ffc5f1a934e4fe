/** Of the network namespace of this process, which a path by its id is not. */
export const INTERFACES_FILE = '/proc/self/net/dev';

/**
 * Names of the interfaces in {@link INTERFACES_FILE}, whose lines are `  name: 1 2 3`, where a name may have colons, but no
 * spaces.
 */
export function interfaceNames(text: string): string[] {
  const [, , ...lines] = text.split('\n');
  return lines.map(line => line.trim().replace(/:(?= ).*|:\d+ .*/, '')).filter(name => name !== '');
}
