import type { Clock } from '@msi-proxy/shared';
import { identityNotFound } from '@msi-proxy/shared/http';
import type { TokenBroker } from '../tokens/token-broker.ts';
import { tokenRequestOf } from '../tokens/token-request.ts';
import type { AnswerSource } from './answer-source.ts';

export interface TokenSourceOptions {
  readonly broker: TokenBroker;
  readonly clock: Clock;
  readonly timeoutMillis: number;
  /** For what the broker does not do. */
  readonly relay: AnswerSource;
}

/** Answers token requests from the broker. */
export function createTokenSource({ broker, clock, timeoutMillis, relay }: TokenSourceOptions): AnswerSource {
  return async authorized => {
    const { gated, decision, caller } = authorized;
    // The answer to a HEAD has no body to keep.
    if (gated.method === 'HEAD') return await relay(authorized);
    const parameters = decision.added === undefined ? gated.query : [...gated.query, decision.added];
    const outcome = await broker.get(tokenRequestOf(parameters, decision.mustBelongTo), {
      source: caller.containerId,
      deadlineMillis: clock.monotonicMillis() + timeoutMillis,
    });
    // As on a VM that has no system-assigned identity, and no other either.
    if (outcome.kind === 'other-identity') {
      return { kind: 'withheld', answer: identityNotFound(), reason: 'other-identity' };
    }
    return outcome;
  };
}
