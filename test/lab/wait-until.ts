import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** What is waited for, for the message when it does not come. */
  readonly what: string;
  readonly timeoutMillis?: number;
  readonly intervalMillis?: number;
}

/**
 * Asks until the answer is neither `undefined` nor `false`, and gives it back. A question that throws counts as not
 * answered yet; what it threw last is the cause of the time-out.
 *
 * @throws {Error} when the time is up
 */
export async function waitUntil<T>(
  question: () => Promise<T | undefined | false> | T | undefined | false,
  { what, timeoutMillis = 30_000, intervalMillis = 25 }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + timeoutMillis;
  let cause: unknown;
  do {
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(intervalMillis);
  } while (performance.now() < deadline);
  const because = cause instanceof Error ? `: ${cause.message}` : '';
  throw new Error(`waited ${timeoutMillis} ms for ${what}${because}`, { cause });
}
