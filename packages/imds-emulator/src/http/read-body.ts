import type { IncomingMessage } from 'node:http';

export interface RequestBody {
  readonly text: string;
  /** It had more bytes than the limit, and the text ends before them. */
  readonly isTooLong: boolean;
}

/**
 * Reads a request body to its end, so that the request can be answered, but keeps no more than the limit. Ends early,
 * without error, when the client goes away.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<RequestBody> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
    }
  } catch {
    // The connection broke: there is nobody to answer, and what was read is judged as it is.
  }
  return { text: Buffer.concat(chunks).toString('utf8'), isTooLong: size > maxBytes };
}
