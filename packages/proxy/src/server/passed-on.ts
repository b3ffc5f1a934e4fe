import type { ErrorShape } from '@msi-proxy/shared/http';
import type { Allowed } from '../authorize/authorize.ts';
import type { GatedRequest } from '../gate/gated-request.ts';
import { filterUserData } from '../relay/user-data-filter.ts';
import { guardRefusalInWords, isGuardRefusal } from '../tokens/guard-refusal.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import type { Answered } from './answer-source.ts';

export interface PassingOn {
  readonly method: GatedRequest['method'];
  readonly errorShape: ErrorShape;
  readonly userData: Allowed['userData'];
  readonly via: 'upstream' | 'shared';
}

/**
 * What IMDS answered, as it may go to a client: as it is, but for user data, and for a refusal without words by what guards
 * IMDS.
 *
 * @throws {MsiProxyError} `MSI_UPSTREAM_FAILED` when it may hold what the client must not have
 */
export function passedOn(
  received: UpstreamAnswer,
  { method, errorShape, userData, via }: PassingOn,
): Answered {
  // The answer to a HEAD never has words.
  const isRefused = method !== 'HEAD' && isGuardRefusal(received);
  const readable = isRefused ? guardRefusalInWords(received, errorShape) : received;
  const { answer, isReported } = filterUserData(readable, userData);
  return isReported
    ? { kind: 'answer', answer, via, wouldDeny: 'endpoint-not-granted' }
    : { kind: 'answer', answer, via };
}
