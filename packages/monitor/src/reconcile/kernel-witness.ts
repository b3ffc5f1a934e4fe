import type { Caller } from '@msi-proxy/shared';
import { hasAddress, processStart } from './container-process.ts';
import type { VmLinks } from './vm-links.ts';

export interface KernelWitnessOptions {
  readonly links: Pick<VmLinks, 'gone'>;
  /** Gives the text of a file; undefined when there is none. */
  readonly readText: (path: string) => string | undefined;
  /** Interface of the proxies' network; undefined until that is known. */
  readonly bridge: () => string | undefined;
  /** Whether the caller has its address by an interface of its own on a bridge of this VM. */
  readonly isOnBridge: (caller: Caller) => boolean;
  /** Of the container's first process, as the engine says. */
  readonly pid: (caller: Caller) => number | undefined;
}

/** What was seen of a container while it ran. */
export interface Sighting {
  /** See {@link VmLinks}; undefined where that tells nothing of this container. */
  readonly linksGone: number | undefined;
  /** See {@link processStart}. */
  readonly process: string | undefined;
}

/** Whether a container still has an address, by what the kernel shows and without the engine. See docs/adr/0031. */
export class KernelWitness {
  readonly #options: KernelWitnessOptions;

  constructor(options: KernelWitnessOptions) {
    this.#options = options;
  }

  look(caller: Caller): Sighting {
    return this.#sighting(caller, () => this.#linksGone());
  }

  /** Looks at many at one time: reading the interfaces takes the longer the more of them there are. */
  lookAtAll(callers: ReadonlyMap<string, Caller>): ReadonlyMap<string, Sighting> {
    const linksGone = this.#linksGone();
    return new Map(
      [...callers].map(([address, caller]) => [address, this.#sighting(caller, () => linksGone)]),
    );
  }

  #sighting(caller: Caller, linksGone: () => number | undefined): Sighting {
    const { readText, isOnBridge, pid } = this.#options;
    const number = pid(caller);
    return {
      linksGone: isOnBridge(caller) ? linksGone() : undefined,
      process: number === undefined ? undefined : processStart(readText, number),
    };
  }

  #linksGone(): number | undefined {
    const { links, bridge } = this.#options;
    const bridgeName = bridge();
    return bridgeName === undefined ? undefined : links.gone(bridgeName);
  }

  /** Whether the caller, which is the same run of the same container as at the sighting, certainly has its address. */
  isStill(caller: Caller, { linksGone, process }: Sighting): boolean {
    const { readText, pid } = this.#options;
    const now = this.look(caller);
    if (linksGone !== undefined && now.linksGone === linksGone) return true;
    const number = pid(caller);
    return (
      number !== undefined &&
      process !== undefined &&
      now.process === process &&
      hasAddress(readText, number, caller.address)
    );
  }
}
