import { addAbortListener } from 'node:events';
import type { Clock } from '@msi-proxy/shared';

/** Waits, but not longer than until the signal. */
export async function pause(clock: Clock, millis: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>(resolve => {
    const timer = clock.setTimer(() => {
      listener[Symbol.dispose]();
      resolve();
    }, millis);
    const listener = addAbortListener(signal, () => {
      timer.cancel();
      resolve();
    });
  });
}
