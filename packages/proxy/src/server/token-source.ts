import type { Clock } from '@msi-proxy/shared';
import { identityNotFound } from '@msi-proxy/shared/http';
import type { Allowed } from '../authorize/authorize.ts';
import type { GatedRequest } from '../gate/gated-request.ts';
import type { TokenBroker, TokenOutcome } from '../tokens/token-broker.ts';
import { tokenRequestOf, type TokenRequest } from '../tokens/token-request.ts';
import type { Answered, AnswerSource, AuthorizedRequest, KeptAnswer } from './answer-source.ts';

export interface TokenSourceOptions {
  readonly broker: TokenBroker;
  readonly clock: Clock;
  readonly timeoutMillis: () => number;
  /** For what the broker does not do. */
  readonly relay: AnswerSource;
}

export interface TokenSource {
  readonly source: AnswerSource;
  /** What the broker keeps for a GET; `undefined` when it must be asked for, or must not be given. */
  readonly kept: (gated: GatedRequest, decision: Allowed, containerId: string) => KeptAnswer | undefined;
}

/** Answers token requests from the broker. */
export function createTokenSource({ broker, clock, timeoutMillis, relay }: TokenSourceOptions): TokenSource {
  const requests = new WeakMap<Allowed, TokenRequest>();
  const requestOf = (gated: GatedRequest, decision: Allowed): TokenRequest => {
    const known = requests.get(decision);
    if (known !== undefined) return known;
    const parameters = decision.added === undefined ? gated.query : [...gated.query, decision.added];
    const request = tokenRequestOf(parameters, decision.mustBelongTo);
    requests.set(decision, request);
    return request;
  };
  const get = async (
    request: TokenRequest,
    { caller, client }: Pick<AuthorizedRequest, 'caller' | 'client'>,
  ): Promise<Answered> => {
    const deadlineMillis = clock.monotonicMillis() + timeoutMillis();
    return answeredBy(await broker.get(request, { source: caller.containerId, deadlineMillis, client }));
  };

  const source: AnswerSource = authorized => {
    const { gated, decision, caller } = authorized;
    // The answer to a HEAD has no body to keep.
    if (gated.method === 'HEAD') return relay(authorized);
    const request = requestOf(gated, decision);
    const kept = broker.kept(request, caller.containerId);
    return kept === undefined ? get(request, authorized) : answeredBy(kept);
  };
  const kept: TokenSource['kept'] = (gated, decision, containerId) => {
    if (gated.endpoint.group !== 'token') return undefined;
    try {
      const outcome = broker.kept(requestOf(gated, decision), containerId);
      return outcome?.kind === 'answer' ? outcome : undefined;
    } catch {
      return undefined; // the source says why
    }
  };
  return { source, kept };
}

function answeredBy(outcome: TokenOutcome): Answered {
  if (outcome.kind !== 'other-identity') return outcome;
  // As on a VM that has no system-assigned identity, and no other either.
  return { kind: 'withheld', answer: identityNotFound(), reason: 'other-identity' };
}
