import type { IncomingHttpHeaders } from 'node:http';
import type { Caller, Clock } from '@msi-proxy/shared';
import { forwardedHeaders } from '../relay/forwarded-headers.ts';
import type { Relay } from '../relay.ts';
import type { ImdsClient } from '../upstream/imds-client.ts';
import { laneOf } from '../upstream/lane.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import type { UpstreamCalls } from '../upstream/upstream-calls.ts';
import { clientLeft } from '../upstream/upstream-failure.ts';
import type { AnswerSource, AuthorizedRequest } from './answer-source.ts';
import { passedOn } from './passed-on.ts';

export interface RelaySourceOptions {
  /** For whatever is not a small GET. */
  readonly relay: () => Promise<Relay>;
  readonly client: ImdsClient;
  /** What IMDS itself expects in `Host`. */
  readonly hostHeader: string;
  readonly calls: UpstreamCalls;
  readonly clock: Clock;
  /** For the whole answer, waiting and repeats included. */
  readonly timeoutMillis: () => number;
  /** Whether a container still has its address and its grant. */
  readonly isCurrent: (caller: Caller) => boolean;
}

/** Whose answers are small and come at once: documents of some KB. See docs/adr/0027. */
const SMALL_GROUPS: ReadonlySet<AuthorizedRequest['gated']['endpoint']['group']> = new Set([
  'instance',
  'loadbalancer',
  'versions',
  'identity-info',
  'attested',
  'credential',
] as const);

/** Answers each request by passing it on to IMDS with its own headers. */
export function createRelaySource(options: RelaySourceOptions): AnswerSource {
  const { relay, client, hostHeader, calls, clock, timeoutMillis, isCurrent } = options;
  const forwarded = [false, true].map(isInspected => {
    const known = new WeakMap<IncomingHttpHeaders, IncomingHttpHeaders>();
    return (headers: IncomingHttpHeaders) => {
      const found = known.get(headers) ?? forwardedHeaders(headers, { hostHeader, isInspected });
      known.set(headers, found);
      return found;
    };
  });

  const sendSmall = (authorized: AuthorizedRequest, timeoutMillis: number): Promise<UpstreamAnswer> => {
    const { decision, headers, client: waiting } = authorized;
    const sent = forwarded[Number(decision.userData !== 'granted')]!(headers);
    return client.get(decision.target, { timeoutMillis, headers: sent, client: waiting });
  };

  const sendOther = async (authorized: AuthorizedRequest, timeoutMillis: number): Promise<UpstreamAnswer> => {
    const { gated, decision, caller, body, exchange } = authorized;
    if (exchange === undefined) throw new Error('this request must come through the parser');
    const relaying = await relay();
    // Before all other answers are given it is looked at whom they are for; this request does something as soon as it is sent,
    // and it may have waited for its turn.
    if (gated.method === 'POST' && !isCurrent(caller)) throw clientLeft();
    return await relaying.send({
      ...exchange,
      target: decision.target,
      body,
      timeoutMillis,
      isInspected: decision.userData !== 'granted',
    });
  };

  return authorized => {
    const { gated, decision, caller } = authorized;
    const { method, endpoint } = gated;
    const { group, errorShape } = endpoint;
    if (group === 'ready') throw new Error('the ready path is answered here');
    const send = method === 'GET' && SMALL_GROUPS.has(group) ? sendSmall : sendOther;
    const call = calls.start({
      lane: laneOf(group),
      source: caller.containerId,
      priority: 'client',
      deadlineMillis: clock.monotonicMillis() + timeoutMillis(),
      isRepeatable: method !== 'POST',
      // Of credentials it means that there is none of this kind.
      isUpdatedWhenNotFound: group === 'token' || group === 'identity-info',
      send: attemptMillis => send(authorized, attemptMillis),
    });
    return call.outcome.then(outcome => {
      if (outcome.kind === 'throttled') return outcome;
      const { userData } = decision;
      return passedOn(outcome.answer, { method, errorShape, userData, via: 'upstream' });
    });
  };
}
