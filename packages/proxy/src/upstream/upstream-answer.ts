import type { IncomingMessage } from 'node:http';
import { MsiProxyError } from '@msi-proxy/shared';
import { hopByHopNames, withoutHeaders } from '../relay/hop-by-hop.ts';
import { upstreamFailure } from './upstream-failure.ts';

/** A whole answer of IMDS. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly statusText: string;
  /** Flat list of names and values as received, without hop-by-hop headers. */
  readonly rawHeaders: readonly string[];
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** As sent; of a HEAD it is not the length of the body. */
  readonly contentLength: string | undefined;
  readonly body: Buffer;
}

/**
 * Reads an answer to its end. One that breaks off is an error, never a shorter answer.
 *
 * @throws {MsiProxyError} `MSI_UPSTREAM_FAILED` or `MSI_UPSTREAM_TOO_LARGE`
 */
export async function readAnswer(answer: IncomingMessage, maxBytes: number): Promise<UpstreamAnswer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      // Leaving the loop destroys the answer and its connection.
      if (length > maxBytes) {
        throw new MsiProxyError('MSI_UPSTREAM_TOO_LARGE', `the answer is larger than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof MsiProxyError ? error : upstreamFailure(error);
  }
  return {
    status: answer.statusCode!,
    statusText: answer.statusMessage ?? '',
    rawHeaders: withoutHeaders(answer.rawHeaders, hopByHopNames(answer.headers.connection)),
    contentType: answer.headers['content-type'],
    contentEncoding: answer.headers['content-encoding'],
    contentLength: answer.headers['content-length'],
    body: Buffer.concat(chunks),
  };
}
