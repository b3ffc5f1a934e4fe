import type { Clock, Timer } from '@msi-proxy/shared';
import { backoffMillis, type BackoffLimits } from './backoff.ts';

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** How many keys are worked on at a time. */
  readonly concurrency: number;
  readonly backoff: BackoffLimits;
  /** A number from 0 up to, not including, 1, as `Math.random`. */
  readonly random: () => number;
  /** Makes the world match for one key. Rejection means: again later. */
  readonly work: (key: string) => Promise<void>;
  readonly onError: (key: string, error: unknown) => void;
}

interface Watch {
  readonly keys: ReadonlySet<string>;
  /** Those of them that wait for work, or are in work, since then. */
  readonly left: Set<string>;
  readonly resolve: (isDone: boolean) => void;
}

/**
 * Work by key. A key that waits is there once, however often it is added; it is never worked on twice at a time, and one
 * that is added while it is worked on is worked on once more afterwards, since the world may have changed after it was
 * read. Keys whose work fails come back after a growing delay.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** Insertion order is the order of work. */
  readonly #waiting = new Set<string>();
  readonly #inFlight = new Set<string>();
  /** In flight, and added again meanwhile. */
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, Timer>();
  /** How often work on a key has failed since it succeeded. */
  readonly #failures = new Map<string, number>();
  /** Who waits to be alone with a key that is in flight, in turn. */
  readonly #alone = new Map<string, (() => void)[]>();
  readonly #watches = new Set<Watch>();
  #stopped = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Asks for work on the key now, also when it waits for its back-off. */
  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelDelay(key);
    if (this.#inFlight.has(key)) {
      this.#dirty.add(key);
      return;
    }
    this.#waiting.add(key);
    this.#startWork();
  }

  isInFlight(key: string): boolean {
    return this.#inFlight.has(key);
  }

  /** Does something else with a key while no work is done on it, which waits and is waited for. Not done when it has stopped. */
  async alone(key: string, something: () => Promise<void>): Promise<void> {
    if (this.#inFlight.has(key)) {
      await new Promise<void>(resolve => this.#alone.set(key, [...(this.#alone.get(key) ?? []), resolve]));
    } else {
      this.#inFlight.add(key);
      if (this.#waiting.delete(key)) this.#dirty.add(key);
    }
    try {
      if (!this.#stopped) await something();
    } finally {
      this.#finish(key);
    }
  }

  /** Asks for work on the key after its back-off, which grows with each call until work on the key succeeds. */
  addRateLimited(key: string): void {
    if (this.#stopped || this.#waiting.has(key) || this.#dirty.has(key)) return;
    const { clock, backoff, random } = this.#options;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#cancelDelay(key);
    const timer = clock.setTimer(() => this.add(key), backoffMillis(failures, backoff, random));
    this.#delayed.set(key, timer);
  }

  /** Keys that wait for work or for their back-off, and those in work. */
  get size(): number {
    return this.#waiting.size + this.#inFlight.size + this.#delayed.size;
  }

  /**
   * Settles when every key that waits for work now, or is in work, has been worked on.
   *
   * @returns whether work on all of them has succeeded, and on those that wait for their back-off now, which are not waited for;
   *   false when it has stopped
   */
  async caughtUp(): Promise<boolean> {
    const left = new Set([...this.#waiting, ...this.#inFlight]);
    const keys = new Set([...left, ...this.#delayed.keys()]);
    if (left.size === 0) return this.#isDone(keys);
    return await new Promise<boolean>(resolve => this.#watches.add({ keys, left, resolve }));
  }

  /** Drops what waits, and settles when the work under way has ended. Nothing is taken up again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#delayed.values()) timer.cancel();
    this.#delayed.clear();
    this.#waiting.clear();
    this.#dirty.clear();
    this.#failures.clear();
    for (const { resolve } of this.#watches) resolve(false);
    this.#watches.clear();
    if (this.#inFlight.size === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  #tellWatches(key: string): void {
    for (const watch of this.#watches) {
      watch.left.delete(key);
      if (watch.left.size > 0) continue;
      this.#watches.delete(watch);
      watch.resolve(this.#isDone(watch.keys));
    }
  }

  #isDone(keys: ReadonlySet<string>): boolean {
    return !this.#stopped && [...keys].every(key => !this.#failures.has(key));
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }

  #startWork(): void {
    for (const key of this.#waiting) {
      if (this.#inFlight.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    const { work, onError } = this.#options;
    this.#inFlight.add(key);
    try {
      await work(key);
      this.#failures.delete(key);
    } catch (error) {
      onError(key, error);
      // A key that was added meanwhile runs again at once; its back-off is for when nothing has changed.
      this.addRateLimited(key);
    }
    this.#finish(key);
  }

  #finish(key: string): void {
    const [next, ...others] = this.#alone.get(key) ?? [];
    if (next !== undefined) {
      if (others.length === 0) this.#alone.delete(key);
      else this.#alone.set(key, others);
      next();
      return;
    }
    this.#inFlight.delete(key);
    // One that was added meanwhile may have changed after it was read.
    if (this.#dirty.delete(key)) this.#waiting.add(key);
    else this.#tellWatches(key);
    this.#startWork();
    if (this.#inFlight.size === 0) this.#idle?.resolve();
  }
}
