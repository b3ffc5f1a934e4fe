import type { Clock, Timer } from '../clock.ts';

interface PendingTimer {
  readonly dueMillis: number;
  readonly sequence: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it. Timers fire in the order of their due times. */
export class FakeClock implements Clock {
  #nowMillis = 0;
  #sequence = 0;
  readonly #wallStartMillis: number;
  readonly #timers = new Set<PendingTimer>();

  constructor(wallStart = '2026-01-01T00:00:00.000Z') {
    this.#wallStartMillis = Date.parse(wallStart);
  }

  monotonicMillis(): number {
    return this.#nowMillis;
  }

  wallMillis(): number {
    return this.#wallStartMillis + this.#nowMillis;
  }

  setTimer(callback: () => void, delayMillis: number): Timer {
    const timer = {
      dueMillis: this.#nowMillis + Math.max(0, delayMillis),
      sequence: this.#sequence++,
      callback,
    };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Timers that wait; a test that ends with some has leaked them. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Time that passes while the code under test runs, which no timer can interrupt. */
  pass(millis: number): void {
    this.#nowMillis += millis;
  }

  /** Moves time on, firing what falls due; promises settle between two timers. */
  async advance(millis: number): Promise<void> {
    const end = this.#nowMillis + millis;
    await settle();
    for (let next = this.#nextDue(end); next !== undefined; next = this.#nextDue(end)) {
      this.#timers.delete(next);
      this.#nowMillis = next.dueMillis;
      next.callback();
      await settle();
    }
    this.#nowMillis = end;
  }

  #nextDue(endMillis: number): PendingTimer | undefined {
    return [...this.#timers]
      .filter(timer => timer.dueMillis <= endMillis)
      .sort((a, b) => a.dueMillis - b.dueMillis || a.sequence - b.sequence)[0];
  }
}

/** Lets everything run that waits on already settled promises. */
export async function settle(): Promise<void> {
  await new Promise(resolve => {
    setImmediate(resolve);
  });
}
