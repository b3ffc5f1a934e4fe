import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '@msi-proxy/shared';
import { filterUserData, type FilteredAnswer } from '../relay/user-data-filter.ts';
import type { Allowed } from '../authorize/authorize.ts';
import type { ImdsClient } from '../upstream/imds-client.ts';
import { laneOf } from '../upstream/lane.ts';
import { outcomeBy, type UpstreamCall, type UpstreamCalls } from '../upstream/upstream-calls.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import type { AnswerSource } from './answer-source.ts';

export interface SharedSourceOptions {
  readonly client: ImdsClient;
  readonly calls: UpstreamCalls;
  readonly clock: Clock;
  readonly timeoutMillis: () => number;
  /** For requests whose answer is theirs alone. */
  readonly relay: AnswerSource;
}

/** What makes an answer depend on more than the target. */
const SELECTING_HEADERS = ['range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];

/**
 * Answers requests for metadata that is the same for everybody: those for the same that come while one is under way
 * share its answer.
 */
export function createSharedSource(options: SharedSourceOptions): AnswerSource {
  const { client, calls, clock, timeoutMillis, relay } = options;
  const underWay = new Map<string, UpstreamCall>();
  const filtered = new WeakMap<UpstreamAnswer, Map<Allowed['userData'], FilteredAnswer>>();

  /** As `filterUserData`, once for all who share an answer. */
  const filter = (answer: UpstreamAnswer, userData: Allowed['userData']): FilteredAnswer => {
    let ofAnswer = filtered.get(answer);
    if (ofAnswer === undefined)
      filtered.set(answer, (ofAnswer = new Map<Allowed['userData'], FilteredAnswer>()));
    let result = ofAnswer.get(userData);
    if (result === undefined) ofAnswer.set(userData, (result = filterUserData(answer, userData)));
    return result;
  };

  const begin = (target: string, source: string, deadlineMillis: number): UpstreamCall => {
    const call = calls.start({
      lane: laneOf('instance'),
      source,
      priority: 'client',
      deadlineMillis,
      isRepeatable: true,
      isUpdatedWhenNotFound: false,
      send: attemptMillis => client.get(target, attemptMillis),
    });
    underWay.set(target, call);
    const forget = () => underWay.delete(target);
    call.outcome.then(forget, forget);
    return call;
  };

  return async authorized => {
    const { gated, decision, caller, request } = authorized;
    if (gated.method !== 'GET' || !takesAnyForm(request.headers)) return await relay(authorized);
    const source = caller.containerId;
    const deadlineMillis = clock.monotonicMillis() + timeoutMillis();
    const present = underWay.get(decision.target);
    present?.join(source, deadlineMillis);
    const call = present ?? begin(decision.target, source, deadlineMillis);
    const outcome = await outcomeBy(deadlineMillis, clock, call);
    if (outcome.kind === 'throttled') return outcome;
    const { answer, isReported } = filter(outcome.answer, decision.userData);
    const via = present === undefined ? 'upstream' : 'shared';
    return { kind: 'answer', answer, via, ...(isReported && { wouldDeny: 'endpoint-not-granted' }) };
  };
}

function takesAnyForm(headers: IncomingHttpHeaders): boolean {
  const { accept = '*/*' } = headers;
  const takesJson = accept.includes('*/*') || accept.includes('application/json');
  return takesJson && SELECTING_HEADERS.every(name => headers[name] === undefined);
}
