/** Answers of one caller in a turn of the event loop while others ask too. */
const SHARE = 4;

/** Callers that came within this time of each other share the turns. */
const MIXED_MILLIS = 100;

interface Waiting {
  readonly caller: string;
  readonly work: () => void;
}

/**
 * Lets callers take turns. The event loop hands out all requests that have come, and who sends most would fill it: the one
 * request of somebody else waits for all of them. While several callers ask, each gets a share of a turn, and what is beyond it
 * waits for the next, before which the loop looks for what has come meanwhile. A caller that is alone has no share to keep to.
 */
export class FairTurns {
  readonly #counts = new Map<string, number>();
  #waiting: Waiting[] = [];
  #lastCaller: string | undefined;
  #isMixed = false;
  #callerChanged = false;
  #isArmed = false;

  /** Counts a request of the caller. @returns whether it may be answered in this turn; otherwise {@link next} is for it */
  admits(caller: string): boolean {
    if (caller !== this.#lastCaller) this.#noteChange(caller);
    if (!this.#isMixed) return true;
    const count = this.#counts.get(caller) ?? 0;
    this.#arm();
    if (count >= SHARE) return false;
    this.#counts.set(caller, count + 1);
    return true;
  }

  /** Does the work in a later turn. */
  next(caller: string, work: () => void): void {
    this.#waiting.push({ caller, work });
    this.#arm();
  }

  #noteChange(caller: string): void {
    const isFirst = this.#lastCaller === undefined;
    this.#lastCaller = caller;
    if (isFirst) return;
    this.#callerChanged = true;
    if (this.#isMixed) return;
    this.#isMixed = true;
    this.#watch();
  }

  /** Until one caller is alone. */
  #watch(): void {
    this.#callerChanged = false;
    setTimeout(() => {
      if (this.#callerChanged) this.#watch();
      else this.#isMixed = false;
    }, MIXED_MILLIS).unref();
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    setImmediate(this.#beginTurn);
  }

  readonly #beginTurn = (): void => {
    this.#isArmed = false;
    this.#counts.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) {
      if (this.admits(each.caller)) each.work();
      else this.#waiting.push(each);
    }
    if (this.#waiting.length > 0) this.#arm();
  };
}
