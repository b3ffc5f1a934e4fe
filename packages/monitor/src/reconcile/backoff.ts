export interface BackoffLimits {
  readonly minMillis: number;
  readonly maxMillis: number;
}

/**
 * Exponential back-off with full jitter: a wait drawn evenly from `minMillis` up to a ceiling that doubles with each
 * attempt and ends at `maxMillis`. Jitter keeps retries that failed for one reason from coming back in step.
 *
 * @param attempt 0 for the first wait
 * @param random a number from 0 up to, not including, 1, as `Math.random`
 */
export function backoffMillis(
  attempt: number,
  { minMillis, maxMillis }: BackoffLimits,
  random: () => number,
): number {
  const ceiling = Math.min(maxMillis, minMillis * 2 ** (attempt + 1));
  return minMillis + random() * (ceiling - minMillis);
}
