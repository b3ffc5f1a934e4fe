import type { Clock } from '@msi-proxy/shared';

const WINDOW_MILLIS = 1_000;

/**
 * Counts calls against a rate. IMDS counts a call at some moment between its sending and its answer, so one that is
 * under way counts, and goes on counting for a second after its answer: then no second can hold too many, however IMDS
 * measures it.
 */
export class RateWindow {
  readonly perSecond: number;
  readonly #clock: Clock;
  #underWay = 0;
  /** When calls were answered, oldest first. */
  #answeredAtMillis: number[] = [];

  constructor({ clock, perSecond }: { readonly clock: Clock; readonly perSecond: number }) {
    this.#clock = clock;
    this.perSecond = perSecond;
  }

  get hasRoom(): boolean {
    this.#forget();
    return this.#underWay + this.#answeredAtMillis.length < this.perSecond;
  }

  /** How long until time alone makes room; `undefined` when only an answer can. */
  get roomInMillis(): number | undefined {
    this.#forget();
    const [oldest] = this.#answeredAtMillis;
    return oldest === undefined ? undefined : oldest + WINDOW_MILLIS - this.#clock.monotonicMillis();
  }

  began(): void {
    this.#underWay += 1;
  }

  ended(): void {
    this.#underWay -= 1;
    this.#answeredAtMillis.push(this.#clock.monotonicMillis());
  }

  #forget(): void {
    const nowMillis = this.#clock.monotonicMillis();
    const kept = this.#answeredAtMillis.findIndex(atMillis => nowMillis - atMillis < WINDOW_MILLIS);
    if (kept === -1) this.#answeredAtMillis = [];
    else if (kept > 0) this.#answeredAtMillis.splice(0, kept);
  }
}
