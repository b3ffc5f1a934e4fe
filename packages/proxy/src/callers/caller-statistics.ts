import type { CallerReport } from '@msi-proxy/shared';

interface Counts {
  requests: number;
  refusals: number;
  lastRefusal?: string;
}

// Containers come and go; those that asked longest ago leave.
const MAX_CONTAINERS = 4096;

/** What each container asked for and was refused since the proxy started. */
export class CallerStatistics {
  readonly #counts = new Map<string, Counts>();
  /** The one that asked last, and so is at the end. */
  #newest: string | undefined;

  count(containerId: string, refusal?: string): void {
    const counts = this.#countsOf(containerId);
    counts.requests += 1;
    if (refusal !== undefined) this.refuse(containerId, refusal);
  }

  /** A request that was counted before is refused now. */
  refuse(containerId: string, refusal: string): void {
    const counts = this.#countsOf(containerId);
    counts.refusals += 1;
    counts.lastRefusal = refusal;
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
    return [...this.#counts].map(([containerId, counts]) => ({ containerId, ...counts }));
  }
}
