import { forbidden, SERVER_HEADER, type ErrorShape } from '@msi-proxy/shared/http';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import { parseObject } from './token-answer.ts';

/** The Guest Proxy Agent has 403 for who is not allowed, and 421 for a connection whose process it cannot tell. */
const STATUSES = new Set([401, 403, 421]);

/**
 * Whether it was not IMDS that refused, which says why in JSON, but what guards it on the VM, such as the Guest Proxy Agent of
 * the Metadata Security Protocol, whose refusals have no body (Azure/GuestProxyAgent@729e2a8
 * `proxy_agent/src/proxy/proxy_server.rs`).
 */
export function isGuardRefusal({ status, body }: UpstreamAnswer): boolean {
  return STATUSES.has(status) && parseObject(body.toString('utf8')) === undefined;
}

/** The refusal as SDKs can read it, who parse every body. */
export function guardRefusalInWords(
  { status, statusText }: UpstreamAnswer,
  errorShape: ErrorShape,
): UpstreamAnswer {
  const { headers, body } = forbidden(
    errorShape,
    `Something that guards IMDS on this VM has refused the request with status ${status}, without a reason. With the Metadata ` +
      'Security Protocol (Guest Proxy Agent) on, its allow-list must name the process of msi-proxy.',
  );
  const bytes = Buffer.from(body);
  const contentLength = String(bytes.length);
  const all = { Server: SERVER_HEADER, ...headers, 'Content-Length': contentLength };
  return {
    status,
    statusText,
    rawHeaders: Object.entries(all).flat(),
    contentType: headers['Content-Type'],
    contentEncoding: undefined,
    contentLength,
    body: bytes,
  };
}
