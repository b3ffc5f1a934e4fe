import { MsiProxyError } from '@msi-proxy/shared';
import { withoutUserData } from '../relay/user-data-filter.ts';
import type { Relay, UpstreamAnswer } from '../relay.ts';
import type { AnswerSource } from './request-handler.ts';

export interface RelaySourceOptions {
  readonly relay: Relay;
  readonly timeoutMillis: number;
}

/** Answers requests by relaying them to IMDS. */
export function createRelaySource({ relay, timeoutMillis }: RelaySourceOptions): AnswerSource {
  return async ({ request, response, decision, body }) => {
    const answer = await relay.send({ request, response, target: decision.target, body, timeoutMillis });
    return decision.stripUserData ? stripUserData(answer) : answer;
  };
}

function stripUserData(answer: UpstreamAnswer): UpstreamAnswer {
  const body = withoutUserData(answer.body, answer.contentType);
  if (body === undefined) {
    throw new MsiProxyError('MSI_UPSTREAM_FAILED', 'an instance answer that may hold user data is not JSON');
  }
  // Of a HEAD the length is that of an answer with user data, which says something about it.
  return { ...answer, body, contentLength: undefined };
}
