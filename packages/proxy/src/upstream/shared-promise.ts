import type { Clock } from '@msi-proxy/shared';
import type { Waiting } from './asked.ts';
import { clientLeft } from './upstream-failure.ts';

export const TIME_UP = Symbol('time-up');

/**
 * A promise that many wait for, one after the other perhaps for as long as it takes. Whoever waits on a promise itself stays
 * with it to its end; of those who leave here, nothing is left.
 */
export class SharedPromise<T> {
  readonly #promise: Promise<T>;
  readonly #waiters = new Set<PromiseWithResolvers<T | typeof TIME_UP>>();
  #isSettled = false;

  constructor(promise: Promise<T>) {
    this.#promise = promise;
    promise.then(
      value => {
        for (const { resolve } of this.#settle()) resolve(value);
      },
      (error: unknown) => {
        for (const { reject } of this.#settle()) reject(error);
      },
    );
  }

  /**
   * Waits until a moment on the monotonic clock. The promise goes on.
   *
   * @throws {MsiProxyError} `MSI_CLIENT_LEFT`
   */
  async until(deadlineMillis: number, clock: Clock, client?: Waiting): Promise<T | typeof TIME_UP> {
    if (client?.hasLeft === true) throw clientLeft();
    if (this.#isSettled) return await this.#promise;
    const waiter = Promise.withResolvers<T | typeof TIME_UP>();
    const leftMillis = Math.max(0, deadlineMillis - clock.monotonicMillis());
    const timer = clock.setTimer(() => waiter.resolve(TIME_UP), leftMillis);
    const stopListening = client?.onLeave(() => waiter.reject(clientLeft()));
    this.#waiters.add(waiter);
    try {
      return await waiter.promise;
    } finally {
      this.#waiters.delete(waiter);
      timer.cancel();
      stopListening?.();
    }
  }

  #settle(): PromiseWithResolvers<T | typeof TIME_UP>[] {
    this.#isSettled = true;
    return [...this.#waiters];
  }
}
