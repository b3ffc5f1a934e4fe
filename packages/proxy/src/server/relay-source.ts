import type { Clock } from '@msi-proxy/shared';
import { filterUserData } from '../relay/user-data-filter.ts';
import type { Relay } from '../relay.ts';
import { laneOf } from '../upstream/lane.ts';
import type { UpstreamCalls } from '../upstream/upstream-calls.ts';
import type { AnswerSource } from './answer-source.ts';

export interface RelaySourceOptions {
  readonly relay: Relay;
  readonly calls: UpstreamCalls;
  readonly clock: Clock;
  /** For the whole answer, waiting and repeats included. */
  readonly timeoutMillis: () => number;
}

/** Answers each request by relaying it to IMDS with its own headers. */
export function createRelaySource({ relay, calls, clock, timeoutMillis }: RelaySourceOptions): AnswerSource {
  return async ({ request, response, gated, decision, caller, body }) => {
    const { group } = gated.endpoint;
    if (group === 'ready') throw new Error('the ready path is answered here');
    const call = calls.start({
      lane: laneOf(group),
      source: caller.containerId,
      priority: 'client',
      deadlineMillis: clock.monotonicMillis() + timeoutMillis(),
      isRepeatable: gated.method !== 'POST',
      // Of credentials it means that there is none of this kind.
      isUpdatedWhenNotFound: group === 'token' || group === 'identity-info',
      send: attemptMillis =>
        relay.send({
          request,
          response,
          target: decision.target,
          body,
          timeoutMillis: attemptMillis,
          isInspected: decision.userData !== 'granted',
        }),
    });
    const outcome = await call.outcome;
    if (outcome.kind === 'throttled') return outcome;
    const { answer, isReported } = filterUserData(outcome.answer, decision.userData);
    const via = 'upstream';
    return { kind: 'answer', answer, via, ...(isReported && { wouldDeny: 'endpoint-not-granted' }) };
  };
}
