import { backoffMillis, type Random } from '../backoff.ts';

/** `throttled`: the service wants fewer calls. `unavailable`: it is away, or says so. */
export type PauseCause = 'throttled' | 'unavailable';

/**
 * Keeps calls from a service that has asked for quiet, or is away: each refusal makes the pause longer; after a pause
 * calls try one by one, until one succeeds. Times are on the monotonic clock.
 */
export class Pause {
  readonly #random: Random;
  #failures = 0;
  #cause: PauseCause | undefined;
  #sinceMillis = Number.NEGATIVE_INFINITY;
  #untilMillis = Number.NEGATIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  /** How long no call may be sent; 0 when calls may. */
  leftMillis(nowMillis: number): number {
    return Math.max(0, this.#untilMillis - nowMillis);
  }

  /** Why calls wait, or have to try one by one; `undefined` after a success. */
  get cause(): PauseCause | undefined {
    return this.#cause;
  }

  /** @param sentAtMillis when the call was sent that failed: those sent before the last pause say nothing new */
  begin(cause: PauseCause, sentAtMillis: number, nowMillis: number): void {
    if (sentAtMillis <= this.#sinceMillis) return;
    this.#cause = cause;
    this.#sinceMillis = nowMillis;
    this.#untilMillis = this.#sinceMillis + backoffMillis(this.#failures, this.#random);
    this.#failures += 1;
  }

  /**
   * @param sentAtMillis when the call was sent that succeeded: where the service has asked for quiet since, it says nothing of
   *   how many it wants now
   */
  succeeded(sentAtMillis: number): void {
    if (this.#cause === 'throttled' && sentAtMillis <= this.#sinceMillis) return;
    this.#failures = 0;
    this.#cause = undefined;
    this.#untilMillis = Number.NEGATIVE_INFINITY;
  }
}
