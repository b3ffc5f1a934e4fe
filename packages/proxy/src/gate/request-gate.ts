import { badRequest, metadataHeaderMissing, methodNotAllowed, notFound } from '../answers/imds-answers.ts';
import type { LocalAnswer } from '../answers/local-answer.ts';
import { endpointOf, errorShapeOf } from './endpoint.ts';
import type { ErrorShape, GatedRequest } from './gated-request.ts';
import { isOwnHost, RequestHeaders } from './request-headers.ts';
import { parseTarget, type TargetReason } from './target.ts';

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
  | 'host'
  | 'method'
  | 'body'
  | 'unknown-endpoint';

export type GateVerdict =
  | { readonly kind: 'pass'; readonly request: GatedRequest }
  | {
      readonly kind: 'answer';
      readonly answer: LocalAnswer;
      readonly reason: GateReason;
      readonly shape: ErrorShape;
    };

/** An acknowledgement of scheduled events is `{"StartRequests":[{"EventId":"…"}]}`: a few hundred bytes. */
export const MAX_ACK_BODY_BYTES = 4096;

/** A body, or the promise of one, in a request that has none in IMDS's protocol. */
const BODY_HEADERS = ['transfer-encoding', 'trailer', 'expect', 'upgrade'];

/**
 * Decides what may pass at all, whoever asks. What it lets through is sent upstream as the very bytes it has judged.
 *
 * The order is part of the protocol: an SDK's probe (a token request without `Metadata`, often without a query) must get
 * the 400 that says so and nothing else, or the SDK takes it for a machine without IMDS.
 */
export function passGate({ method, target, rawHeaders }: RawRequest): GateVerdict {
  const headers = new RequestHeaders(rawHeaders);
  const shape = errorShapeOf(target);
  const refuse = (reason: GateReason, answer: LocalAnswer): GateVerdict => ({
    kind: 'answer',
    answer,
    reason,
    shape,
  });

  const parsed = parseTarget(target);
  if (!parsed.ok) return refuse(parsed.reason, badRequest(shape, parsed.text));
  const { path, query } = parsed;
  const endpoint = endpointOf(path, method);

  if (headers.has('x-forwarded-for')) {
    return refuse('forwarded-for', badRequest(shape, 'X-Forwarded-For header is not allowed'));
  }
  if (endpoint?.group !== 'ready' && headers.single('metadata')?.toLowerCase() !== 'true') {
    return refuse('metadata-header-missing', metadataHeaderMissing(shape));
  }
  const hosts = headers.all('host');
  if (hosts.length > 1 || (hosts[0] !== undefined && !isOwnHost(hosts[0]))) {
    return refuse('host', badRequest(shape, 'The Host header is not an IP address'));
  }
  if (endpoint === undefined) return refuse('unknown-endpoint', notFound(shape));

  const acknowledges = endpoint.group === 'scheduledevents-ack';
  if (!acknowledges && !isReadMethod(method)) {
    const allow = endpoint.group === 'scheduledevents' ? 'GET, HEAD, POST' : 'GET, HEAD';
    return refuse('method', methodNotAllowed(shape, allow));
  }
  const contentLength = bodyLength(headers);
  const fits = acknowledges ? contentLength > 0 && contentLength <= MAX_ACK_BODY_BYTES : contentLength === 0;
  if (!fits) {
    return refuse(
      'body',
      badRequest(shape, acknowledges ? 'Invalid request body' : 'A request body is not allowed'),
    );
  }
  const gated = acknowledges ? 'POST' : isReadMethod(method) ? method : 'GET';
  return { kind: 'pass', request: { method: gated, target, path, query, endpoint, contentLength } };
}

function isReadMethod(method: string): method is 'GET' | 'HEAD' {
  return method === 'GET' || method === 'HEAD';
}

/** Length of the announced body; NaN for anything but one plain Content-Length. */
function bodyLength(headers: RequestHeaders): number {
  if (BODY_HEADERS.some(name => headers.has(name))) return Number.NaN;
  if (!headers.has('content-length')) return 0;
  const value = headers.single('content-length');
  return value !== undefined && /^\d{1,7}$/.test(value) ? Number(value) : Number.NaN;
}
