import type { ServerResponse } from 'node:http';
import type { LocalAnswer } from './local-answer.ts';

// SDKs look for "IMDS" here to tell it from other things that may answer at the address (MSAL.NET's probe does).
export const SERVER_HEADER = 'IMDS (msi-proxy)';

export interface SendOptions {
  /** Ends the connection after this answer. */
  readonly close: boolean;
}

/** Sends an answer of the proxy's own. */
export function sendLocalAnswer(response: ServerResponse, answer: LocalAnswer, { close }: SendOptions): void {
  const body = Buffer.from(answer.body);
  response.writeHead(answer.status, {
    Server: SERVER_HEADER,
    ...answer.headers,
    'Content-Length': body.length,
    ...(close && { Connection: 'close' }),
  });
  response.end(body);
}
