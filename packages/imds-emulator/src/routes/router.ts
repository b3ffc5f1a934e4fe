import type { IncomingHttpHeaders } from 'node:http';
import { identityError, instanceError, type Reply } from '../http/reply.ts';
import { refuseApiVersion } from './api-versions.ts';
import type { Endpoint, ImdsErrorShape, IncomingRequest, Route, Router } from './endpoint.ts';

/** Endpoints by path below `/metadata`. */
export type EndpointTable = Readonly<Record<string, Endpoint>>;

/**
 * Finds the endpoint of a path. `/metadata` is matched without case, everything below it with: IMDS refuses case
 * variants of `/identity` (Azure/aad-pod-identity@e4e7eab `pkg/nmi/server/server.go`).
 */
export function routerOf(endpoints: EndpointTable): Router {
  return ({ segments }) => {
    const [root = '', ...path] = segments;
    if (root.toLowerCase() !== 'metadata') return unknownRoute('instance');
    for (let length = path.length; length > 0; length -= 1) {
      const name = path.slice(0, length).join('/');
      const endpoint = Object.hasOwn(endpoints, name) ? endpoints[name] : undefined;
      const rest = path.slice(length);
      if (endpoint !== undefined && (rest.length === 0 || endpoint.hasParts === true)) {
        const { category, errorShape } = endpoint;
        return { category, errorShape, answer: request => answer(request, endpoint, rest) };
      }
    }
    return unknownRoute(path[0] === 'identity' ? 'identity' : 'instance');
  };
}

function unknownRoute(errorShape: ImdsErrorShape): Route {
  return {
    category: 'unknown',
    errorShape,
    answer: ({ headers }) => Promise.resolve(refuseHeaders(headers, errorShape) ?? notFound(errorShape)),
  };
}

/** The checks that all endpoints share, then the endpoint. */
async function answer(request: IncomingRequest, endpoint: Endpoint, rest: readonly string[]): Promise<Reply> {
  const { method, target, readBody } = request;
  const headerRefusal = refuseHeaders(request.headers, endpoint.errorShape);
  if (headerRefusal !== undefined && endpoint.takesAnyHeaders !== true) return headerRefusal;
  if (!endpoint.methods.includes(method)) return methodNotAllowed(endpoint, method);
  if (target.hasDuplicateNames) return duplicateNames(endpoint.errorShape);
  const apiVersion = target.query.get('api-version');
  const versionRefusal = refuseApiVersion(endpoint, apiVersion);
  if (versionRefusal !== undefined) return versionRefusal;

  return endpoint.handle({ method, rest, query: target.query, apiVersion: apiVersion ?? '', readBody });
}

function refuseHeaders(headers: IncomingHttpHeaders, shape: ImdsErrorShape): Reply | undefined {
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

function notFound(shape: ImdsErrorShape): Reply {
  return shape === 'identity'
    ? identityError(404, 'not_found', 'Not found')
    : instanceError(404, 'Not found');
}

function duplicateNames(shape: ImdsErrorShape): Reply {
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
