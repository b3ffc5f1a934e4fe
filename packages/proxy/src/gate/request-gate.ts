import {
  badRequest,
  errorShapeOf,
  methodNotAllowed,
  notFound,
  probeAnswer,
  type LocalAnswer,
} from '@msi-proxy/shared/http';
import { endpointOf } from './endpoint.ts';
import type { Endpoint, GatedRequest } from './gated-request.ts';
import { isOwnHost, RequestHeaders } from './request-headers.ts';
import { parseTarget, type TargetReason } from './target.ts';
import { upgradeOf } from './upgrade.ts';

/** A request as it came off the socket. */
export interface RawRequest {
  readonly method: string;
  /** The request target, not decoded. */
  readonly target: string;
  readonly rawHeaders: readonly string[];
}

/** Why the gate answered itself; stable words for metrics and audit lines. */
export type GateReason =
  | TargetReason
  | 'metadata-header-missing'
  | 'forwarded-for'
  | 'rewriting-header'
  | 'host'
  | 'method'
  | 'upgrade'
  | 'body'
  | 'unknown-endpoint';

export type GateVerdict =
  | { readonly kind: 'pass'; readonly request: GatedRequest }
  | { readonly kind: 'answer'; readonly answer: LocalAnswer; readonly reason: GateReason };

/** An acknowledgement of scheduled events is `{"StartRequests":[{"EventId":"…"}]}`: a few hundred bytes. */
export const MAX_ACK_BODY_BYTES = 4096;

/** A body, or the promise of one, in a request that has none in IMDS's protocol. */
const BODY_HEADERS = ['transfer-encoding', 'trailer', 'expect'];

/**
 * What some servers take for another method or target than those of the request line, which are the ones judged here
 * (Web API's method override, IIS's URL rewriting). Nobody documents that IMDS does not.
 */
const REWRITING_HEADERS = [
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
];

/**
 * Decides what may pass at all, whoever asks. What it lets through is sent upstream as the very bytes it has judged.
 *
 * The order is part of the protocol: an SDK's probe (a token request without `Metadata`, often without a query) must get
 * the answer to probes and nothing else, or the SDK takes it for a machine without IMDS.
 */
export function passGate({ method, target, rawHeaders }: RawRequest): GateVerdict {
  const headers = new RequestHeaders(rawHeaders);
  const shape = errorShapeOf(target);
  const refuse = (reason: GateReason, answer: LocalAnswer): GateVerdict => ({
    kind: 'answer',
    answer,
    reason,
  });

  const parsed = parseTarget(target);
  if (!parsed.ok) return refuse(parsed.reason, badRequest(shape, parsed.text));
  const { path, query } = parsed;
  const endpoint = endpointOf(path, method);

  if (headers.has('x-forwarded-for')) {
    return refuse('forwarded-for', badRequest(shape, 'X-Forwarded-For header is not allowed'));
  }
  if (endpoint?.group !== 'ready' && headers.single('metadata')?.toLowerCase() !== 'true') {
    return refuse('metadata-header-missing', probeAnswer(target));
  }
  const rewriting = REWRITING_HEADERS.find(name => headers.has(name));
  if (rewriting !== undefined) {
    return refuse('rewriting-header', badRequest(shape, `The header ${rewriting} is not allowed`));
  }
  const hosts = headers.all('host');
  if (hosts.length > 1 || (hosts[0] !== undefined && !isOwnHost(hosts[0]))) {
    return refuse('host', badRequest(shape, 'The Host header is not an IP address'));
  }
  if (endpoint === undefined) return refuse('unknown-endpoint', notFound(shape));

  if (!isServed(method, endpoint)) {
    const allow = endpoint.group === 'scheduledevents' ? 'GET, HEAD, POST' : 'GET, HEAD';
    return refuse('method', methodNotAllowed(shape, allow));
  }
  const upgrade = upgradeOf(headers);
  if (upgrade === 'other' || (upgrade === 'http2-offer' && method !== 'GET')) {
    return refuse('upgrade', badRequest(shape, 'A change of the protocol is not allowed'));
  }
  const contentLength = bodyLength(headers);
  const isRead = method !== 'POST';
  const fits = isRead ? contentLength === 0 : contentLength > 0 && contentLength <= MAX_ACK_BODY_BYTES;
  if (!fits) {
    const text = isRead ? 'A request body is not allowed' : 'Invalid request body';
    return refuse('body', badRequest(shape, text));
  }
  return { kind: 'pass', request: { method, target, path, query, endpoint, contentLength } };
}

function isServed(method: string, { group }: Endpoint): method is GatedRequest['method'] {
  return method === 'GET' || method === 'HEAD' || (method === 'POST' && group === 'scheduledevents-ack');
}

/** Length of the announced body; NaN for anything but one plain Content-Length. */
function bodyLength(headers: RequestHeaders): number {
  if (BODY_HEADERS.some(name => headers.has(name))) return Number.NaN;
  if (!headers.has('content-length')) return 0;
  const value = headers.single('content-length');
  return value !== undefined && /^\d{1,7}$/.test(value) ? Number(value) : Number.NaN;
}
