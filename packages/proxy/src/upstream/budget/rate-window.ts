const WINDOW_MILLIS = 1_000;

/**
 * Counts calls against a rate. IMDS counts a call at some moment between its sending and its answer, so one that is
 * under way counts, and goes on counting for a second after its answer: then no second can hold too many, however IMDS
 * measures it. Times are on the monotonic clock.
 */
export class RateWindow {
  readonly perSecond: number;
  #underWay = 0;
  /** When calls were answered, oldest first. */
  #answeredAtMillis: number[] = [];

  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }

  /**
   * How long until time alone makes room: 0 when there is some.
   *
   * @returns `undefined` when only an answer can
   */
  roomInMillis(nowMillis: number): number | undefined {
    this.#forget(nowMillis);
    if (this.#underWay + this.#answeredAtMillis.length < this.perSecond) return 0;
    const [oldest] = this.#answeredAtMillis;
    return oldest === undefined ? undefined : oldest + WINDOW_MILLIS - nowMillis;
  }

  began(): void {
    this.#underWay += 1;
  }

  ended(nowMillis: number): void {
    this.#underWay -= 1;
    this.#answeredAtMillis.push(nowMillis);
  }

  #forget(nowMillis: number): void {
    const kept = this.#answeredAtMillis.findIndex(atMillis => nowMillis - atMillis < WINDOW_MILLIS);
    if (kept === -1) this.#answeredAtMillis = [];
    else if (kept > 0) this.#answeredAtMillis.splice(0, kept);
  }
}
