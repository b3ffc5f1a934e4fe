import type { IncomingHttpHeaders } from 'node:http';
import { identityError, instanceError, type Reply } from '../http/reply.ts';
import type { RequestTarget } from '../http/request-target.ts';
import { refuseApiVersion } from './api-versions.ts';
import type { Category, Endpoint, ErrorShape } from './endpoint.ts';

export interface IncomingRequest {
  readonly method: string;
  readonly target: RequestTarget;
  readonly headers: IncomingHttpHeaders;
  readonly readBody: () => Promise<string>;
}

/** Where a request goes: its category, the shape of its errors, and the endpoint if there is one. */
export interface Route {
  readonly category: Category;
  readonly errorShape: ErrorShape;
  readonly endpoint?: Endpoint;
  readonly rest: readonly string[];
}

/** Endpoints by path below `/metadata`. */
export type EndpointTable = Readonly<Record<string, Endpoint>>;

/**
 * Finds the endpoint of a path. `/metadata` is matched without case, everything below it with: IMDS refuses case
 * variants of `/identity` (Azure/aad-pod-identity@e4e7eab `pkg/nmi/server/server.go`).
 */
export function findRoute(endpoints: EndpointTable, { segments }: RequestTarget): Route {
  const [root = '', ...path] = segments;
  const errorShape = path[0] === 'identity' ? 'identity' : 'instance';
  const unknown: Route = { category: 'unknown', errorShape, rest: [] };
  if (root.toLowerCase() !== 'metadata') return { ...unknown, errorShape: 'instance' };
  for (let length = path.length; length > 0; length -= 1) {
    const name = path.slice(0, length).join('/');
    const endpoint = Object.hasOwn(endpoints, name) ? endpoints[name] : undefined;
    const rest = path.slice(length);
    if (endpoint !== undefined && (rest.length === 0 || endpoint.hasParts === true)) {
      return { category: endpoint.category, errorShape: endpoint.errorShape, endpoint, rest };
    }
  }
  return unknown;
}

/** Answers a request: the checks that all endpoints share, then the endpoint. */
export async function answer(request: IncomingRequest, route: Route): Promise<Reply> {
  const { method, target, readBody } = request;
  const { endpoint, rest } = route;
  const headerRefusal = refuseHeaders(request.headers, route.errorShape);
  if (headerRefusal !== undefined && endpoint?.takesAnyHeaders !== true) return headerRefusal;
  if (endpoint === undefined) return notFound(route.errorShape);
  if (!endpoint.methods.includes(method)) return methodNotAllowed(endpoint, method);
  if (target.hasDuplicateNames) return duplicateNames(endpoint.errorShape);
  const apiVersion = target.query.get('api-version');
  const versionRefusal = refuseApiVersion(endpoint, apiVersion);
  if (versionRefusal !== undefined) return versionRefusal;

  return endpoint.handle({ method, rest, query: target.query, apiVersion: apiVersion ?? '', readBody });
}

function refuseHeaders(headers: IncomingHttpHeaders, shape: ErrorShape): Reply | undefined {
  // Documented is "true" in lower case; Microsoft's own samples and agents send "True".
  if (String(headers['metadata']).toLowerCase() !== 'true') {
    return shape === 'identity'
      ? identityError(400, 'invalid_request', 'Required metadata header not specified')
      : instanceError(400, 'Bad request: . Required metadata header not specified');
  }
  if (headers['x-forwarded-for'] !== undefined) {
    // That it is refused is documented, the text is not.
    return shape === 'identity'
      ? identityError(400, 'invalid_request', 'X-Forwarded-For header is not allowed')
      : instanceError(400, 'Bad request. X-Forwarded-For header is not allowed');
  }
  return undefined;
}

function notFound(shape: ErrorShape): Reply {
  return shape === 'identity'
    ? identityError(404, 'not_found', 'Not found')
    : instanceError(404, 'Not found');
}

function duplicateNames(shape: ErrorShape): Reply {
  // As for X-Forwarded-For: documented without its text.
  return shape === 'identity'
    ? identityError(400, 'invalid_request', 'Duplicate query parameters are not allowed')
    : instanceError(400, 'Bad request. Duplicate query parameters are not allowed');
}

function methodNotAllowed({ methods, errorShape, category }: Endpoint, method: string): Reply {
  const text = category === 'loadbalancer' ? `Http method isn't allowed: ${method}` : 'Method not allowed';
  const reply =
    errorShape === 'identity' ? identityError(405, 'method_not_allowed', text) : instanceError(405, text);
  return { ...reply, headers: { ...reply.headers, Allow: methods.join(', ') } };
}
