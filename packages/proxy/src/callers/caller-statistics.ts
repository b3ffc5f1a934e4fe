import type { CallerReport, Clock } from '@msi-proxy/shared';

interface Counts {
  requests: number;
  refusals: number;
  lastRefusal?: { readonly atMillis: number; readonly reason: string };
}

// Containers come and go; those that asked longest ago leave.
const MAX_CONTAINERS = 4096;

/** What each container asked for and was refused since the proxy started. */
export class CallerStatistics {
  readonly #clock: Clock;
  readonly #counts = new Map<string, Counts>();
  /** The one that asked last, and so is at the end. */
  #newest: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  count(containerId: string, refusal?: string): void {
    const counts = this.#countsOf(containerId);
    counts.requests += 1;
    if (refusal !== undefined) this.refuse(containerId, refusal);
  }

  /** A request that was counted before is refused now. */
  refuse(containerId: string, refusal: string): void {
    const counts = this.#countsOf(containerId);
    counts.refusals += 1;
    counts.lastRefusal = { atMillis: this.#clock.wallMillis(), reason: refusal };
  }

  #countsOf(containerId: string): Counts {
    const counts = this.#counts.get(containerId) ?? { requests: 0, refusals: 0 };
    if (containerId === this.#newest) return counts;
    this.#newest = containerId;
    this.#counts.delete(containerId);
    this.#counts.set(containerId, counts);
    if (this.#counts.size > MAX_CONTAINERS) {
      const [oldest] = this.#counts.keys();
      if (oldest !== undefined) this.#counts.delete(oldest);
    }
    return counts;
  }

  report(): CallerReport[] {
    return [...this.#counts].map(([containerId, { requests, refusals, lastRefusal }]) => ({
      containerId,
      requests,
      refusals,
      ...(lastRefusal !== undefined && {
        lastRefusal: { at: new Date(lastRefusal.atMillis).toISOString(), reason: lastRefusal.reason },
      }),
    }));
  }
}
