import { INTERFACES_FILE, interfaceNames } from '../network-interfaces.ts';

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
    const names = new Set(interfaceNames(this.#readText(INTERFACES_FILE) ?? ''));
    if (!names.has(bridge)) return undefined;
    if (!isSubset(this.#names, names)) this.#gone += 1;
    this.#names = names;
    return this.#gone;
  }
}

function isSubset(small: ReadonlySet<string>, large: ReadonlySet<string>): boolean {
  for (const name of small) if (!large.has(name)) return false;
  return true;
}
