import { VM_EXTENSION_PATH } from '../imds.ts';
import { errorShapeOf, type ErrorShape } from './error-shape.ts';
import type { LocalAnswer } from './local-answer.ts';

/**
 * Answers in IMDS's own words: SDKs tell "no identity here", "try again" and "stop" apart by status, shape and text.
 * Texts as captured from the service (learn.microsoft.com "Azure Instance Metadata Service", and public issue reports
 * that quote whole bodies).
 *
 * Two rules hold for all of them. The word "unreachable" never appears: @azure/identity and azidentity take a 403 that
 * contains it for a missing IMDS. And 502 and 504 are never used: .NET takes them for a gateway without IMDS behind it.
 */

const JSON_TYPE = 'application/json; charset=utf-8';

/** Body `{error, error_description}` below /metadata/identity, `{error}` elsewhere. */
export function errorAnswer(shape: ErrorShape, status: number, code: string, text: string): LocalAnswer {
  const body = shape === 'identity' ? { error: code, error_description: text } : { error: text };
  return jsonAnswer(status, body);
}

export function jsonAnswer(status: number, body: Readonly<Record<string, unknown>>): LocalAnswer {
  return { status, headers: { 'Content-Type': JSON_TYPE }, body: JSON.stringify(body) };
}

/** What an SDK's probe gets, which sends no `Metadata` header: it means "IMDS is here". */
export function metadataHeaderMissing(shape: ErrorShape): LocalAnswer {
  const text = 'Required metadata header not specified';
  return errorAnswer(shape, 400, 'invalid_request', shape === 'identity' ? text : `Bad request: . ${text}`);
}

/** Of MSAL's newer protocol, in which a client gets a credential instead of tokens. */
const CREDENTIAL_PATH = /^\/metadata\/identity\/(?:getplatformmetadata|issuecredential|credential)(?:$|\?)/;

/**
 * What a request for this target gets without the header `Metadata`, whoever asks.
 *
 * For MSAL.NET, 400 to its probe of the newer protocol means that it is there, and 404 that only the older one is
 * (AzureAD/microsoft-authentication-library-for-dotnet@39d2001 `ImdsManagedIdentitySource.ProbeImdsEndpointAsync`). No
 * credentials are issued here, so it is 404.
 */
export function probeAnswer(target: string): LocalAnswer {
  if (target === VM_EXTENSION_PATH || target.startsWith(`${VM_EXTENSION_PATH}?`)) {
    return errorAnswer('identity', 400, 'bad_request_102', 'Required metadata header not specified');
  }
  return CREDENTIAL_PATH.test(target) ? notFound('identity') : metadataHeaderMissing(errorShapeOf(target));
}

export function badRequest(shape: ErrorShape, text: string): LocalAnswer {
  return errorAnswer(shape, 400, 'invalid_request', shape === 'identity' ? text : `Bad request. ${text}`);
}

/** A VM without the identity: credential chains go on to their next credential. */
export function identityNotFound(): LocalAnswer {
  return errorAnswer('identity', 400, 'invalid_request', 'Identity not found');
}

export function notFound(shape: ErrorShape, text = 'Not found'): LocalAnswer {
  return errorAnswer(shape, 404, 'not_found', text);
}

export function methodNotAllowed(shape: ErrorShape, allow: string): LocalAnswer {
  const answer = errorAnswer(shape, 405, 'method_not_allowed', 'Method not allowed');
  return { ...answer, headers: { ...answer.headers, Allow: allow } };
}

/** Final for every SDK: no retry, no next credential, and the text reaches the developer. */
export function forbidden(shape: ErrorShape, text: string): LocalAnswer {
  // The text may quote a container's name.
  return errorAnswer(shape, 403, 'access_denied', text.replace(/unreachable/gi, 'not reachable'));
}

/** The VM's budget with IMDS is used up. As IMDS says it (Azure/azure-sdk-for-net#39574), without `Retry-After`. */
export function throttled(shape: ErrorShape): LocalAnswer {
  return errorAnswer(shape, 429, 'invalid_request', 'Temporarily throttled, too many requests');
}

/** All SDKs try again after a 503. The connection is closed, so that the next try may reach another proxy. */
export function serviceUnavailable(shape: ErrorShape, text: string): LocalAnswer {
  const answer = errorAnswer(shape, 503, 'service_unavailable', text);
  return { ...answer, headers: { ...answer.headers, Connection: 'close' } };
}

export function internalError(shape: ErrorShape): LocalAnswer {
  const answer = errorAnswer(shape, 500, 'server_error', 'Internal error');
  return { ...answer, headers: { ...answer.headers, Connection: 'close' } };
}
