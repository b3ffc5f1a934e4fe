import type { Clock } from '@msi-proxy/shared';

export const TIME_UP = Symbol('time-up');

/** Waits for the promise until a moment on the monotonic clock. The promise goes on. */
export async function until<T>(
  deadlineMillis: number,
  clock: Clock,
  promise: Promise<T>,
): Promise<T | typeof TIME_UP> {
  const timeUp = Promise.withResolvers<typeof TIME_UP>();
  const leftMillis = Math.max(0, deadlineMillis - clock.monotonicMillis());
  const timer = clock.setTimer(() => timeUp.resolve(TIME_UP), leftMillis);
  try {
    return await Promise.race([promise, timeUp.promise]);
  } finally {
    timer.cancel();
  }
}
