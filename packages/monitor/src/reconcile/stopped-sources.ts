import { printable, type Caller, type StoppedSource } from '@msi-proxy/shared';
import type { StoppedPackets } from '../guard/vm-rules.ts';

export interface TakeOptions {
  readonly callers: ReadonlyMap<string, Caller>;
  /** Milliseconds since 1970. */
  readonly nowMillis: number;
}

/** Source addresses can be forged, so what is remembered of them has an end: those that were quiet longest go first. */
const MAX_SOURCES = 256;

/** Who the guard has stopped, added up from the counters of rules that begin at 0 again whenever they are made anew. */
export class StoppedSources {
  #counted: StoppedPackets = new Map();
  /** By address and container, the one that was seen last at the end. */
  readonly #sources = new Map<string, StoppedSource>();

  /** The one that tried most first. */
  get list(): StoppedSource[] {
    return [...this.#sources.values()].sort((a, b) => b.attempts - a.attempts);
  }

  /**
   * Takes a reading of the counters and names whom they belong to now.
   *
   * @returns those that were not there before
   */
  take(packets: StoppedPackets, { callers, nowMillis }: TakeOptions): StoppedSource[] {
    const fresh: StoppedSource[] = [];
    for (const [address, count] of packets) {
      const before = this.#counted.get(address) ?? 0;
      const attempts = count >= before ? count - before : count;
      if (attempts === 0) continue;
      const caller = callers.get(address);
      const key = `${address} ${caller?.containerId ?? ''}`;
      const known = this.#sources.get(key);
      const source: StoppedSource = {
        address,
        ...(caller !== undefined && { containerId: caller.containerId, name: printable(caller.name) }),
        attempts: (known?.attempts ?? 0) + attempts,
        lastAt: new Date(nowMillis).toISOString(),
      };
      this.#sources.delete(key);
      this.#sources.set(key, source);
      if (known === undefined) fresh.push(source);
    }
    this.#counted = packets;
    for (const key of [...this.#sources.keys()].slice(0, -MAX_SOURCES)) this.#sources.delete(key);
    return fresh;
  }
}
