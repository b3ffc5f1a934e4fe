import type { Agent } from 'node:http';
import { MsiProxyError } from '@msi-proxy/shared';
import { withoutUserData } from '../relay/user-data-filter.ts';
import type { Relay, UpstreamAnswer } from '../relay.ts';
import type { AnswerSource } from './request-handler.ts';

export interface RelaySourceOptions {
  readonly relay: Relay;
  /** Connections to use. */
  readonly agent: Agent;
  readonly timeoutMillis: number;
}

/** Answers requests by relaying them to IMDS. */
export function createRelaySource({ relay, agent, timeoutMillis }: RelaySourceOptions): AnswerSource {
  return async ({ request, response, decision, body }) => {
    const { target, stripUserData } = decision;
    const answer = await relay.send({
      request,
      response,
      target,
      body,
      agent,
      timeoutMillis,
      isInspected: stripUserData,
    });
    return stripUserData ? withoutUserDataIn(answer) : answer;
  };
}

function withoutUserDataIn(answer: UpstreamAnswer): UpstreamAnswer {
  const { status, contentType, contentEncoding } = answer;
  // Neither was asked for; a part of a document or a compressed one cannot be searched.
  const isReadable = status !== 206 && (contentEncoding ?? 'identity') === 'identity';
  const body = isReadable ? withoutUserData(answer.body, contentType) : undefined;
  if (body === undefined) {
    throw new MsiProxyError(
      'MSI_UPSTREAM_FAILED',
      'an instance answer that may hold user data is not readable',
    );
  }
  // Of a HEAD the length is that of an answer with user data, which says something about it.
  return { ...answer, body, contentLength: undefined };
}
