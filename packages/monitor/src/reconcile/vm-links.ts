/** Of the network namespace of this process, which a path by its id is not. */
const INTERFACES_FILE = '/proc/self/net/dev';

/**
 * Sees network interfaces of the VM go. Docker makes one with a new name for each container on a bridge before that runs, and
 * takes it away before somebody else gets the address: as long as none has gone, no address on a bridge has changed hands.
 */
export class VmLinks {
  readonly #readText: (path: string) => string | undefined;
  #names: ReadonlySet<string> = new Set();
  #gone = 0;

  /** @param readText gives the text of a file; undefined when there is none */
  constructor(readText: (path: string) => string | undefined) {
    this.#readText = readText;
  }

  /**
   * A number that is another one whenever an interface has gone that was there at an earlier look.
   *
   * @param bridge an interface that only the VM's own namespace has
   * @returns undefined when this process does not see that namespace
   */
  gone(bridge: string): number | undefined {
    const names = readNames(this.#readText(INTERFACES_FILE) ?? '');
    if (!names.has(bridge)) return undefined;
    if (!isSubset(this.#names, names)) this.#gone += 1;
    this.#names = names;
    return this.#gone;
  }
}

/** Lines are `  name: 1 2 3`, where a name may have colons, but no spaces. */
function readNames(text: string): ReadonlySet<string> {
  const [, , ...lines] = text.split('\n');
  return new Set(lines.map(line => line.trim().replace(/:(?= ).*|:\d+ .*/, '')).filter(name => name !== ''));
}

function isSubset(small: ReadonlySet<string>, large: ReadonlySet<string>): boolean {
  for (const name of small) if (!large.has(name)) return false;
  return true;
}
