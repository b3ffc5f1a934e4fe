import type { Clock } from '@msi-proxy/shared';
import type { ErrorShape } from '../routes/endpoint.ts';

interface Budget {
  readonly perSecond: number;
  readonly concurrent: number;
}

/**
 * Azure's limits for each VM ("Rate limiting" of the IMDS page). A second one counts for identities only. None is
 * documented for the VM extension, which is a program in the VM.
 */
const BUDGETS: Readonly<Record<ErrorShape, Budget>> = {
  instance: { perSecond: 5, concurrent: Number.POSITIVE_INFINITY },
  identity: { perSecond: 20, concurrent: 5 },
  'vm-extension': { perSecond: Number.POSITIVE_INFINITY, concurrent: Number.POSITIVE_INFINITY },
};

const WINDOW_MILLIS = 1_000;

/** Ends a request that was admitted. */
export type Release = () => void;

/** Counts requests of each category, over the last second and at the same time. */
export class RateLimiter {
  readonly #clock: Clock;
  readonly #usage: Readonly<Record<ErrorShape, { recent: number[]; inFlight: number }>> = {
    instance: { recent: [], inFlight: 0 },
    identity: { recent: [], inFlight: 0 },
    'vm-extension': { recent: [], inFlight: 0 },
  };
  #enabled: boolean;

  constructor({ clock, enabled }: { readonly clock: Clock; readonly enabled: boolean }) {
    this.#clock = clock;
    this.#enabled = enabled;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  setEnabled(enabled: boolean): void {
    this.#enabled = enabled;
  }

  /** `undefined` when the request is over the limit; otherwise what to call when it has been answered. */
  admit(kind: ErrorShape): Release | undefined {
    const usage = this.#usage[kind];
    const budget = BUDGETS[kind];
    const now = this.#clock.monotonicMillis();
    usage.recent = usage.recent.filter(at => now - at < WINDOW_MILLIS);
    const isOver = usage.recent.length >= budget.perSecond || usage.inFlight >= budget.concurrent;
    if (this.#enabled && isOver) return undefined;

    // Counted while switched off too, so that switching on finds the true numbers.
    usage.recent.push(now);
    usage.inFlight += 1;
    return () => {
      usage.inFlight -= 1;
    };
  }
}
