import type { IncomingHttpHeaders } from 'node:http';
import { hopByHopNames } from './hop-by-hop.ts';

// The gate refuses X-Forwarded-For, and nothing adds one; for good measure, since IMDS refuses forwarded requests.
const NEVER_SENT = ['expect', 'forwarded', 'via'];
const FORWARDED_PREFIX = 'x-forwarded-';

/** What makes an answer partial, or gives it a form that is not read here. */
const NOT_SENT_WHEN_INSPECTED = ['accept', 'accept-encoding', 'range', 'if-range'];

export interface ForwardingOptions {
  /** What IMDS itself expects in `Host`. */
  readonly hostHeader: string;
  /** The answer will be read here: it is asked for whole, in IMDS's own form and without compression. */
  readonly isInspected: boolean;
}

/** The headers of a client's request as they go to IMDS: without those of its connection and of its body. */
export function forwardedHeaders(
  received: IncomingHttpHeaders,
  { hostHeader, isInspected }: ForwardingOptions,
): IncomingHttpHeaders {
  const dropped = new Set([
    ...hopByHopNames(received.connection),
    ...NEVER_SENT,
    ...(isInspected ? NOT_SENT_WHEN_INSPECTED : []),
    'content-length',
  ]);
  const kept = Object.entries(received).filter(
    ([name]) => !dropped.has(name) && !name.startsWith(FORWARDED_PREFIX),
  );
  return { ...Object.fromEntries(kept), host: hostHeader };
}
