import { VM_EXTENSION_PATH } from '@msi-proxy/shared';
import {
  badRequest,
  errorShapeOf,
  MAX_BODY_BYTES,
  methodNotAllowed,
  notFound,
  probeAnswer,
  type ErrorShape,
} from '@msi-proxy/shared/http';
import { endpointOf } from './endpoint.ts';
import { refusal, type FormVerdict, type GateVerdict } from './gate-verdict.ts';
import type { Endpoint, GatedRequest } from './gated-request.ts';
import { isOwnHost, RequestHeaders } from './request-headers.ts';
import { parseTarget, type ParsedTarget } from './target.ts';
import { upgradeOf } from './upgrade.ts';
import { isFormType, passExtensionQuery } from './vm-extension.ts';

/** A request as it came off the socket. */
export interface RawRequest {
  readonly method: string;
  /** The request target, not decoded. */
  readonly target: string;
  readonly rawHeaders: readonly string[];
}

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

/** What a target says by itself, whoever sends it and with which headers. */
export interface ReadTarget {
  readonly shape: ErrorShape;
  readonly parsed: ParsedTarget;
  /** The request that a GET of it is; `undefined` for what nobody serves. */
  readonly plainGet: GatedRequest | undefined;
}

export function readTarget(target: string): ReadTarget {
  const shape = errorShapeOf(target);
  const parsed = parseTarget(target);
  const endpoint = parsed.ok ? endpointOf(parsed.path, 'GET') : undefined;
  if (!parsed.ok || endpoint === undefined) return { shape, parsed, plainGet: undefined };
  const { path, query } = parsed;
  const plainGet = {
    method: 'GET',
    target: parsed.target,
    path,
    query,
    endpoint,
    contentLength: 0,
  } as const;
  return { shape, parsed, plainGet };
}

/**
 * Decides what may pass at all, whoever asks. What it lets through is sent upstream as the very bytes it has judged. Of a
 * form the body is still to be judged, by `passForm`.
 *
 * The order is part of the protocol: an SDK's probe (a token request without `Metadata`, often without a query) must get
 * the answer to probes and nothing else, or the SDK takes it for a machine without IMDS.
 */
export function passGate(
  { method, target, rawHeaders }: RawRequest,
  read: (target: string) => ReadTarget = readTarget,
): GateVerdict | FormVerdict {
  const headers = new RequestHeaders(rawHeaders);
  const { shape, parsed, plainGet } = read(target);
  if (!parsed.ok) return refusal(parsed.reason, badRequest(shape, parsed.text));
  const { path, query } = parsed;
  const endpoint = method === 'GET' ? plainGet?.endpoint : endpointOf(path, method);

  if (headers.has('x-forwarded-for')) {
    return refusal('forwarded-for', badRequest(shape, 'X-Forwarded-For header is not allowed'));
  }
  if (endpoint?.group !== 'ready' && headers.single('metadata')?.toLowerCase() !== 'true') {
    return refusal('metadata-header-missing', probeAnswer(target));
  }
  const rewriting = REWRITING_HEADERS.find(name => headers.has(name));
  if (rewriting !== undefined) {
    return refusal('rewriting-header', badRequest(shape, `The header ${rewriting} is not allowed`));
  }
  const hosts = headers.all('host');
  if (hosts.length > 1 || (hosts[0] !== undefined && !isOwnHost(hosts[0]))) {
    return refusal('host', badRequest(shape, 'The Host header is not an IP address'));
  }
  if (endpoint === undefined) return refusal('unknown-endpoint', notFound(shape));

  const served = servedMethods(path, endpoint);
  const servedMethod = served.find(each => each === method);
  if (servedMethod === undefined) return refusal('method', methodNotAllowed(shape, served.join(', ')));
  const upgrade = upgradeOf(headers);
  if (upgrade === 'other' || (upgrade === 'http2-offer' && method !== 'GET')) {
    return refusal('upgrade', badRequest(shape, 'A change of the protocol is not allowed'));
  }
  const contentLength = bodyLength(headers);
  const isRead = method !== 'POST';
  const fits = isRead ? contentLength === 0 : contentLength > 0 && contentLength <= MAX_BODY_BYTES;
  if (!fits) {
    const text = isRead ? 'A request body is not allowed' : 'Invalid request body';
    return refusal('body', badRequest(shape, text));
  }
  if (path !== VM_EXTENSION_PATH) {
    if (method === 'GET') return { kind: 'pass', request: plainGet! };
    const { target } = parsed;
    return {
      kind: 'pass',
      request: { method: servedMethod, target, path, query, endpoint, contentLength },
    };
  }
  if (isRead) return passExtensionQuery(target.slice(path.length + 1));
  const isForm = isFormType(headers.single('content-type')) && !headers.has('content-encoding');
  // Parameters in two places could be read as one or the other.
  if (!isForm || target !== path) return refusal('body', badRequest(shape, 'Invalid request body'));
  return { kind: 'form', contentLength };
}

function servedMethods(path: string, { group }: Endpoint): readonly GatedRequest['method'][] {
  if (path === VM_EXTENSION_PATH) return ['GET', 'POST'];
  const isAcknowledged = group === 'scheduledevents' || group === 'scheduledevents-ack';
  return isAcknowledged ? ['GET', 'HEAD', 'POST'] : ['GET', 'HEAD'];
}

/** Length of the announced body; NaN for anything but one plain Content-Length. */
function bodyLength(headers: RequestHeaders): number {
  if (BODY_HEADERS.some(name => headers.has(name))) return Number.NaN;
  if (!headers.has('content-length')) return 0;
  const value = headers.single('content-length');
  return value !== undefined && /^\d{1,7}$/.test(value) ? Number(value) : Number.NaN;
}
