import type { IncomingMessage } from 'node:http';

export const NO_BODY = Buffer.alloc(0);

/**
 * An acknowledgement of scheduled events is `{"StartRequests":[{"EventId":"…"}]}`, a form names an identity and a resource:
 * a few hundred bytes.
 */
export const MAX_BODY_BYTES = 4096;

/**
 * @param contentLength as it was announced, and bounded by the caller
 * @returns `undefined` when the client leaves in the middle
 */
export async function readBody(request: IncomingMessage, contentLength: number): Promise<Buffer | undefined> {
  if (contentLength === 0) return NO_BODY;
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}
