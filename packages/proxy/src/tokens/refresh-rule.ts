import { backoffMillis, type Random } from '../upstream/backoff.ts';

const LONG_LIVED_SECONDS = 2 * 60 * 60;
const LEAD_SECONDS = 5 * 60;
const JITTER = 0.1;

/**
 * When to get the next token: when the service says so (`refresh_in`); else at half of the lifetime if that is longer
 * than 2 h, as MSAL does; else 5 minutes before the end, and of a token that has little more left, at half of that.
 * Proxies of many VMs that start together are spread by 10 % to either side.
 *
 * @param expiresInSeconds what is left of the token's life
 * @returns milliseconds from the moment that `expiresInSeconds` counts from
 */
export function refreshDelayMillis(
  {
    expiresInSeconds,
    refreshInSeconds = 0,
  }: { expiresInSeconds: number; refreshInSeconds?: number | undefined },
  random: Random,
): number {
  const spread = 1 + JITTER * (2 * random() - 1);
  if (refreshInSeconds > 0 && refreshInSeconds < expiresInSeconds) {
    return Math.min(refreshInSeconds * spread, expiresInSeconds) * 1_000;
  }
  if (expiresInSeconds > LONG_LIVED_SECONDS || expiresInSeconds <= 2 * LEAD_SECONDS) {
    return (expiresInSeconds / 2) * spread * 1_000;
  }
  return (expiresInSeconds - LEAD_SECONDS * spread) * 1_000;
}

// A refresh has tried for half a minute by itself when it fails.
const RETRY_FACTOR = 6;

/** When to try again after a refresh that failed: in 2 to 30 s, and several times before the token ends. */
export function refreshRetryMillis(
  { failures, leftSeconds }: { failures: number; leftSeconds: number },
  random: Random,
): number {
  return Math.min(RETRY_FACTOR * backoffMillis(failures, random), (leftSeconds / 4) * 1_000);
}
