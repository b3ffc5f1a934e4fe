import type { IncomingMessage } from 'node:http';

/** Reads a request body; what exceeds the limit is cut off. Ends early, without error, when the client goes away. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) break;
      chunks.push(chunk);
    }
  } catch {
    // The connection broke: there is nobody to answer, and what was read is judged as it is.
  }
  return Buffer.concat(chunks).toString('utf8');
}
