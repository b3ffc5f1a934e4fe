import { setTimeout as delay } from 'node:timers/promises';

const POLL_MILLIS = 5;
const PATIENCE_MILLIS = 4_000;

/** Waits until the condition holds. @throws when it does not within some seconds */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  { patienceMillis = PATIENCE_MILLIS }: { readonly patienceMillis?: number } = {},
): Promise<void> {
  const deadlineMillis = performance.now() + patienceMillis;
  while (!(await condition())) {
    if (performance.now() > deadlineMillis) throw new Error(`waited too long until ${what}`);
    await delay(POLL_MILLIS);
  }
}
