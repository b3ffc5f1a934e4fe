const WINDOW_MILLIS = 1_000;

// So many that are over may stay in the list, so that it is not moved for each.
const MAX_FORGOTTEN = 1_000;

/**
 * Counts calls against a rate. IMDS counts a call at some moment between its sending and its answer, so one that is
 * under way counts, and goes on counting for a second after its answer: then no second can hold too many, however IMDS
 * measures it. Times are on the monotonic clock.
 */
export class RateWindow {
  readonly perSecond: number;
  #underWay = 0;
  /** When calls were answered, oldest first. */
  readonly #answeredAtMillis: number[] = [];
  /** Those before this one do not count any more. */
  #first = 0;

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
    const answered = this.#answeredAtMillis.length - this.#first;
    if (this.#underWay + answered < this.perSecond) return 0;
    const oldest = this.#answeredAtMillis[this.#first];
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
    const answeredAt = this.#answeredAtMillis;
    while (this.#first < answeredAt.length && nowMillis - answeredAt[this.#first]! >= WINDOW_MILLIS) {
      this.#first += 1;
    }
    const isMostlyForgotten = 2 * this.#first >= answeredAt.length;
    if (this.#first < answeredAt.length && !(this.#first > MAX_FORGOTTEN && isMostlyForgotten)) return;
    answeredAt.splice(0, this.#first);
    this.#first = 0;
  }
}
