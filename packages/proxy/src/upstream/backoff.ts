/** Uniformly distributed in [0, 1), like `Math.random`. */
export type Random = () => number;

const FIRST_MILLIS = 500;
const LONGEST_MILLIS = 5_000;

/**
 * How long to wait after a failure. Doubles from 0.5 s to 5 s, and is anywhere in the upper half of that, so that what
 * failed together does not try again together. Azure's guidance is 0, 2, 6, 14, 30 s ("how-to-use-vm-token", Retry
 * guidance); a client of ours waits for one answer, so the tries are closer.
 *
 * @param failures how many came before this one
 */
export function backoffMillis(failures: number, random: Random): number {
  const fullMillis = Math.min(FIRST_MILLIS * 2 ** Math.min(failures, 10), LONGEST_MILLIS);
  return fullMillis * (0.5 + random() / 2);
}
