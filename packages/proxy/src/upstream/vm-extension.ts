import { VM_EXTENSION_PATH, type Clock } from '@msi-proxy/shared';
import { SERVER_HEADER } from '@msi-proxy/shared/http';
import { parseObject } from '../tokens/token-answer.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';

/*
 * IMDS's token requests and answers in the protocol of the older VM extension, and back
 * (MicrosoftDocs/azure-docs@064d39c `managed-service-identity/how-to-use-vm-token.md`).
 */

/** Asks once. Rejects with an `MsiProxyError`. */
export type Send = (target: string, timeoutMillis: number) => Promise<UpstreamAnswer>;

/** IMDS reads more spellings than the extension. One that were left out would be a token of another identity. */
const EXTENSION_NAMES: ReadonlyMap<string, string> = new Map([
  ['resource', 'resource'],
  ['client_id', 'client_id'],
  ['object_id', 'object_id'],
  ['msi_res_id', 'msi_res_id'],
  ['mi_res_id', 'msi_res_id'],
  ['msi-res-id', 'msi_res_id'],
]);

/** The codes of the extension in the enumeration of IMDS's swagger. */
const IMDS_CODES: ReadonlyMap<string, string> = new Map([
  ['bad_request_102', 'invalid_request'],
  ['unknown_source', 'unauthorized_client'],
  ['unknown', 'server_error'],
]);

/** Lets a sender of IMDS's token requests talk to the extension, and not notice. */
export function asVmExtension(send: Send, clock: Clock): Send {
  return async (imdsTarget, timeoutMillis) => {
    const parameters = extensionParameters(imdsTarget);
    const answer = await send(extensionTarget(parameters), timeoutMillis);
    return imdsAnswer(answer, parameters, clock.wallMillis());
  };
}

/**
 * The parameters of IMDS's token request that the extension knows, by its names. It has no versions, and no way to ask for
 * a fresher token or for another authority.
 *
 * @param imdsTarget with a query that the proxy has encoded
 */
export function extensionParameters(imdsTarget: string): URLSearchParams {
  const { searchParams } = new URL(imdsTarget, 'http://imds');
  const parameters = new URLSearchParams();
  for (const [name, value] of searchParams) {
    const extensionName = EXTENSION_NAMES.get(name);
    if (extensionName !== undefined) parameters.append(extensionName, value);
  }
  return parameters;
}

export function extensionTarget(parameters: URLSearchParams): string {
  const encoded = [...parameters].map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `${VM_EXTENSION_PATH}?${encoded.join('&')}`;
}

/**
 * An answer of the extension as IMDS would give it; what is none stays as it is.
 *
 * @param parameters of the request, by the names of the extension
 * @param wallMillis now
 */
export function imdsAnswer(
  answer: UpstreamAnswer,
  parameters: URLSearchParams,
  wallMillis: number,
): UpstreamAnswer {
  const document = parseObject(answer.body.toString('utf8'));
  if (document === undefined) return answer;
  const translated =
    answer.status === 200 ? tokenDocument(document, parameters, wallMillis) : errorDocument(document);
  return translated === undefined ? answer : withBody(answer, JSON.stringify(translated));
}

/** The members in IMDS's order, all of them texts. */
function tokenDocument(
  document: Readonly<Record<string, unknown>>,
  parameters: URLSearchParams,
  wallMillis: number,
): Readonly<Record<string, string>> | undefined {
  const text = (name: string) => textOf(document[name]);
  const accessToken = text('access_token');
  const times = timesOf(text('expires_in'), text('expires_on'), Math.floor(wallMillis / 1_000));
  if (accessToken === undefined || times === undefined) return undefined;
  // Without refresh_token, which is always empty. What the answer does not say of the identity the request does.
  return {
    access_token: accessToken,
    ...member('client_id', text('client_id') ?? parameters.get('client_id')),
    expires_in: times.expiresIn,
    expires_on: times.expiresOn,
    ext_expires_in: text('ext_expires_in') ?? times.expiresIn,
    ...member('not_before', text('not_before')),
    ...member('resource', text('resource') ?? parameters.get('resource')),
    token_type: text('token_type') ?? 'Bearer',
    // IMDS repeats these if they are in the request (its swagger).
    ...member('object_id', parameters.get('object_id')),
    ...member('msi_res_id', parameters.get('msi_res_id')),
  };
}

/**
 * The extension counts `expires_in` from when the token was issued, and gives tokens again that it has kept; IMDS counts
 * from its answer. So the moment counts, where it is known.
 */
function timesOf(
  expiresIn: string | undefined,
  expiresOn: string | undefined,
  nowSeconds: number,
): { readonly expiresIn: string; readonly expiresOn: string } | undefined {
  if (isSeconds(expiresOn)) {
    return { expiresIn: String(Math.max(0, Number(expiresOn) - nowSeconds)), expiresOn };
  }
  return isSeconds(expiresIn) ? { expiresIn, expiresOn: String(nowSeconds + Number(expiresIn)) } : undefined;
}

function errorDocument(
  document: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> | undefined {
  const error = textOf(document['error']);
  if (error === undefined) return undefined;
  return {
    error: IMDS_CODES.get(error) ?? error,
    error_description: textOf(document['error_description']) ?? '',
  };
}

function withBody(answer: UpstreamAnswer, text: string): UpstreamAnswer {
  const body = Buffer.from(text);
  const contentType = 'application/json; charset=utf-8';
  const contentLength = String(body.length);
  const dateAt = answer.rawHeaders.findIndex((each, index) => index % 2 === 0 && /^date$/i.test(each));
  const rawHeaders = [
    ...['Content-Type', contentType, 'Server', SERVER_HEADER],
    ...(dateAt === -1 ? [] : answer.rawHeaders.slice(dateAt, dateAt + 2)),
    ...['Content-Length', contentLength],
  ];
  return { ...answer, rawHeaders, contentType, contentEncoding: undefined, contentLength, body };
}

function member(name: string, value: string | null | undefined): Readonly<Record<string, string>> {
  return value === undefined || value === null ? {} : { [name]: value };
}

/** Numbers are texts in IMDS's answers. */
function textOf(value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && text !== '' ? text : undefined;
}

function isSeconds(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,12}$/.test(text);
}
