import type { ServerResponse } from 'node:http';
import type { SendOptions } from '@msi-proxy/shared/http';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';

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
