import type { ServerResponse } from 'node:http';
import type { LocalAnswer } from '../answers/local-answer.ts';
import type { UpstreamAnswer } from '../relay.ts';

// SDKs look for "IMDS" here to tell it from other things that may answer at the address (MSAL.NET's probe does).
const SERVER_HEADER = 'IMDS (msi-proxy)';

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

/** Passes an answer of IMDS on, always with `Content-Length`: Hadoop's client does not read chunked answers. */
export function sendUpstreamAnswer(
  response: ServerResponse,
  answer: UpstreamAnswer,
  { close }: SendOptions,
): void {
  const { status, statusText, rawHeaders, contentLength, body } = answer;
  const length = response.req.method === 'HEAD' ? contentLength : String(body.length);
  response.sendDate = false;
  response.writeHead(status, statusText, [
    ...withContentLength(rawHeaders, length),
    ...(close ? ['Connection', 'close'] : []),
  ]);
  response.end(body);
}

/** In the place of the one that was received, if any. */
function withContentLength(rawHeaders: readonly string[], length: string | undefined): string[] {
  const headers: string[] = [];
  let isPlaced = length === undefined;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.toLowerCase() !== 'content-length') headers.push(name, rawHeaders[index + 1]!);
    else if (!isPlaced) {
      headers.push(name, length!);
      isPlaced = true;
    }
  }
  return isPlaced ? headers : [...headers, 'Content-Length', length!];
}
