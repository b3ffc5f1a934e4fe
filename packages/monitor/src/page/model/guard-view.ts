import type { GuardStatus } from '@msi-proxy/shared';

export interface GuardText {
  readonly word: string;
  readonly sentence: string;
}

const WITHOUT_REASON = 'its rules are not as they should be';

/** The guard's state in a word and a sentence. */
export function guardText({ mode, state, reason }: GuardStatus): GuardText {
  if (state === 'unavailable')
    return { word: 'unavailable', sentence: sentenceOf(reason ?? 'There is no guard on this machine') };
  if (state === 'not-in-place')
    return {
      word: 'not in place',
      sentence: sentenceOf(`The direct way may be open: ${reason ?? WITHOUT_REASON}`),
    };
  if (mode === 'off' || state === 'off')
    return {
      word: 'off',
      sentence: 'Every container reaches IMDS past the proxy, and with it every identity.',
    };
  return mode === 'audit'
    ? { word: 'only counts', sentence: 'Who goes past the proxy is counted and let through.' }
    : { word: 'in place', sentence: 'Nobody but the proxies reaches IMDS: every other way is shut.' };
}

function sentenceOf(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
