import { addAbortListener } from 'node:events';
import type { Clock } from './clock.ts';

/** Waits, but not beyond the signal. Settles in both cases; the caller looks at the signal. */
export async function pause(clock: Clock, millis: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const wake = () => resolve(undefined);
  const timer = clock.setTimer(wake, millis);
  const listener = addAbortListener(signal, wake);
  await promise;
  timer.cancel();
  listener[Symbol.dispose]();
}
