import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '@msi-proxy/shared';
import type { ImdsClient } from '../upstream/imds-client.ts';
import { laneOf } from '../upstream/lane.ts';
import type { UpstreamCalls } from '../upstream/upstream-calls.ts';
import type { AnswerSource } from './answer-source.ts';
import { SharedCall } from './shared-call.ts';

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
  const underWay = new Map<string, SharedCall>();

  const begin = (target: string, source: string, deadlineMillis: number): SharedCall => {
    const call = calls.start({
      lane: laneOf('instance'),
      source,
      priority: 'client',
      deadlineMillis,
      isRepeatable: true,
      isUpdatedWhenNotFound: false,
      send: attemptMillis => client.get(target, { timeoutMillis: attemptMillis }),
    });
    const shared = new SharedCall(call, clock, () => underWay.delete(target));
    underWay.set(target, shared);
    return shared;
  };

  return authorized => {
    const { gated, decision, caller, headers, client: waiting } = authorized;
    if (gated.method !== 'GET' || !takesAnyForm(headers)) return relay(authorized);
    const { target, userData } = decision;
    const source = caller.containerId;
    const deadlineMillis = clock.monotonicMillis() + timeoutMillis();
    const present = underWay.get(target);
    const { errorShape } = gated.endpoint;
    const sharing = { deadlineMillis, errorShape, userData, client: waiting };
    return present === undefined
      ? begin(target, source, deadlineMillis).first(sharing)
      : present.share(source, sharing);
  };
}

function takesAnyForm(headers: IncomingHttpHeaders): boolean {
  const { accept = '*/*' } = headers;
  const takesJson = accept.includes('*/*') || accept.includes('application/json');
  return takesJson && SELECTING_HEADERS.every(name => headers[name] === undefined);
}
