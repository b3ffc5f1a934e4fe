import type { IncomingMessage } from 'node:http';

// Well-known SDKs send a dozen headers. Node's own limit would cut the list silently, and hide what comes after.
const MAX_HEADERS = 64;

/** What makes a request of HTTP's form no request of ours, whatever it asks. */
export function malformedReason({
  rawHeaders,
  httpVersion,
}: IncomingMessage): { reason: string; text: string } | undefined {
  if (rawHeaders.length > 2 * MAX_HEADERS) return { reason: 'too-many-headers', text: 'Too many headers' };
  // Node's parser takes a request line without a version, and any of HTTP/0.9 and HTTP/2.0, for a request too.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    return { reason: 'http-version', text: 'The version of HTTP is not supported' };
  }
  // Node's own check is off: its answer would have no body, and SDKs parse every body.
  const isHost = (text: string, index: number) => index % 2 === 0 && text.toLowerCase() === 'host';
  if (httpVersion === '1.1' && !rawHeaders.some(isHost)) {
    return { reason: 'host-missing', text: 'The Host header is missing' };
  }
  return undefined;
}

/** A body follows, or the promise of one. */
export function announcesBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0);
}
