import type { Clock, Timer } from '@msi-proxy/shared';

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Keys worked on at once; the same key never twice. */
  readonly concurrency: number;
  /** Delay before a key that failed is tried again: doubles from the first to the second, with jitter. */
  readonly minRetryMillis: number;
  readonly maxRetryMillis: number;
  /** A number from 0 to 1, for jitter. */
  readonly random: () => number;
  readonly work: (key: string) => Promise<void>;
  /** Told of each failure; the key is tried again. */
  readonly onFailure: (key: string, error: unknown) => void;
}

/**
 * Keys that need work, each at most once in the queue and once under way. A key that is added while it is worked on is
 * worked on again afterwards: the work reads the world anew, so nothing that happened in between is missed.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #retries = new Map<string, Timer>();
  #idleWaiters: (() => void)[] = [];
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelRetry(key);
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#startNext();
  }

  /** The key needs no more work, and what failed before is forgotten. */
  forget(key: string): void {
    this.#cancelRetry(key);
    this.#waiting.delete(key);
    this.#again.delete(key);
    this.#failures.delete(key);
  }

  /** Settles when nothing is waiting or under way; keys that wait for their next try do not count. */
  async idle(): Promise<void> {
    if (this.#waiting.size === 0 && this.#running.size === 0) return;
    await new Promise<void>(resolve => this.#idleWaiters.push(resolve));
  }

  /** Takes no more work, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.clear();
    this.#again.clear();
    for (const key of [...this.#retries.keys()]) this.#cancelRetry(key);
    await this.idle();
  }

  #startNext(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.work(key);
      this.#failures.delete(key);
    } catch (error) {
      this.#options.onFailure(key, error);
      this.#retryLater(key);
    }
    this.#running.delete(key);
    if (this.#again.delete(key)) this.add(key);
    this.#startNext();
    if (this.#waiting.size === 0 && this.#running.size === 0) {
      const waiters = this.#idleWaiters;
      this.#idleWaiters = [];
      for (const resolve of waiters) resolve();
    }
  }

  #retryLater(key: string): void {
    if (this.#stopped || this.#again.has(key)) return;
    const { clock, minRetryMillis, maxRetryMillis, random } = this.#options;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const ceiling = Math.min(maxRetryMillis, minRetryMillis * 2 ** Math.min(failures, 30));
    const delayMillis = ceiling * (0.5 + random() / 2);
    this.#retries.set(
      key,
      clock.setTimer(() => this.add(key), delayMillis),
    );
  }

  #cancelRetry(key: string): void {
    this.#retries.get(key)?.cancel();
    this.#retries.delete(key);
  }
}
