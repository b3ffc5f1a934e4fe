import { MsiProxyError } from '@msi-proxy/shared';
import type { CallVerdict } from './budget/call-budget.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';

export interface Judgement {
  /** The answer is for good; otherwise the same call may get another one later. */
  readonly isFinal: boolean;
  readonly verdict: CallVerdict;
}

/**
 * What an answer says about trying again (learn.microsoft.com, "how-to-use-vm-token", Error handling, and the status
 * table of the IMDS page): 404 of tokens and 410 mean that the service is being updated, for 70 s at most; 429 that the
 * VM has asked too much; 5xx that something failed.
 *
 * A 5xx or 404 in IMDS's own words is about this one call, such as a token that Azure AD would not give, or an API version
 * that there is not. It must not make the calls of other containers wait, or any container could bring that about. One in
 * other words comes from what stands in for IMDS while it restarts (WireServer: text, `Server: Microsoft-IIS/10.0`).
 *
 * @param isUpdatedWhenNotFound a 404 means "being updated", not "no such thing"
 */
export function judgeAnswer(answer: UpstreamAnswer, isUpdatedWhenNotFound: boolean): Judgement {
  const { status } = answer;
  if (status === 429) return { isFinal: false, verdict: 'throttled' };
  if (status === 410) return { isFinal: false, verdict: 'unavailable' };
  if (status >= 500 || (status === 404 && isUpdatedWhenNotFound))
    return { isFinal: false, verdict: isInOwnWords(answer) ? 'inconclusive' : 'unavailable' };
  return { isFinal: true, verdict: 'succeeded' };
}

// A call that was given less time than this says little about IMDS when it ends without an answer.
const PATIENT_MILLIS = 2_000;

/** What a call without an answer says. `timeoutMillis`: how long it had. */
export function judgeFailure(error: unknown, timeoutMillis: number): Judgement {
  const code = error instanceof MsiProxyError ? error.code : undefined;
  // The answer will not shrink, and the client will not come back.
  if (code === 'MSI_UPSTREAM_TOO_LARGE' || code === 'MSI_CLIENT_LEFT') {
    return { isFinal: true, verdict: 'inconclusive' };
  }
  if (code !== 'MSI_UPSTREAM_TIMEOUT') return { isFinal: false, verdict: 'unavailable' };
  return { isFinal: false, verdict: timeoutMillis < PATIENT_MILLIS ? 'inconclusive' : 'unanswered' };
}

function isInOwnWords({ contentType = '' }: UpstreamAnswer): boolean {
  return /^application\/json\b/i.test(contentType);
}
