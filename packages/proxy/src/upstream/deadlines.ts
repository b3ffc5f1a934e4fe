import type { Clock, Timer } from '@msi-proxy/shared';

/** A moment at which somebody is called back, unless it is cancelled before. */
export interface Deadline {
  /** On the monotonic clock. */
  readonly atMillis: number;
  readonly callback: () => void;
}

/**
 * Deadlines of calls, of which nearly all are cancelled: one timer for all of them, which is set only when none waits that
 * is earlier, and looks then whose time is up.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #waiting = new Set<Deadline>();
  #timer: Timer | undefined;
  #wakeAtMillis = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(atMillis: number, callback: () => void): Deadline {
    const deadline = { atMillis, callback };
    this.#waiting.add(deadline);
    this.#wakeAt(atMillis);
    return deadline;
  }

  /** Also of one that is over, or was cancelled. */
  cancel(deadline: Deadline | undefined): void {
    if (deadline === undefined || !this.#waiting.delete(deadline)) return;
    if (this.#waiting.size === 0) this.#sleep();
  }

  #wakeAt(atMillis: number): void {
    if (atMillis >= this.#wakeAtMillis) return;
    this.#timer?.cancel();
    this.#wakeAtMillis = atMillis;
    const leftMillis = Math.max(0, atMillis - this.#clock.monotonicMillis());
    this.#timer = this.#clock.setTimer(this.#wake, leftMillis);
  }

  #sleep(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wakeAtMillis = Number.POSITIVE_INFINITY;
  }

  readonly #wake = (): void => {
    this.#sleep();
    const nowMillis = this.#clock.monotonicMillis();
    const due = [...this.#waiting].filter(({ atMillis }) => atMillis <= nowMillis);
    for (const deadline of due) this.#waiting.delete(deadline);
    for (const { atMillis } of this.#waiting) this.#wakeAt(atMillis);
    for (const { callback } of due) callback();
  };
}
