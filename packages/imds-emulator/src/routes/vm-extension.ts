import { type Reply, json, vmExtensionError } from '../http/reply.ts';
import { parseQuery } from '../http/request-target.ts';
import type { IncomingRequest, Router } from './endpoint.ts';
import { grantToken, type TokenSource } from './identity/token.ts';

/** What the extension reads. That it ignores the rest is assumed; then a wrong name means another identity. */
const PARAMETERS = ['resource', 'client_id', 'object_id', 'msi_res_id'];

/**
 * The older way to get tokens: the VM extension ManagedIdentityExtensionFor{Windows,Linux}, a program inside the VM with
 * one path (MicrosoftDocs/azure-docs@064d39c `managed-service-identity/how-to-use-vm-token.md`). Clients ask with GET, or
 * with a form (Azure/msrestazure-for-python@00f066b `get_msi_token`).
 */
export function vmExtensionRouter(source: TokenSource): Router {
  return ({ segments }) => {
    const isTokenPath = segments.join('/') === 'oauth2/token';
    return {
      category: isTokenPath ? 'vm-extension' : 'unknown',
      errorShape: 'vm-extension',
      answer: async request =>
        isTokenPath ? await answer(source, request) : vmExtensionError(401, 'unknown_source', UNKNOWN_SOURCE),
    };
  };
}

// Documented with the URI that was asked for at the end; nothing of a request is repeated here.
const UNKNOWN_SOURCE = 'Unknown Source';

async function answer(source: TokenSource, request: IncomingRequest): Promise<Reply> {
  // Documented is "true" in lower case.
  if (String(request.headers['metadata']).toLowerCase() !== 'true') {
    return vmExtensionError(400, 'bad_request_102', 'Required metadata header not specified');
  }
  const parameters = await parametersOf(request);
  if (parameters === undefined) return vmExtensionError(401, 'unknown_source', UNKNOWN_SOURCE);
  const known = new Map([...parameters].filter(([name]) => PARAMETERS.includes(name)));
  // Refusals are those of IMDS: what the extension says of a missing resource or an unknown identity is not documented.
  const granted = grantToken(source, known);
  if (granted.kind === 'refused') return granted.reply;
  const { token, resource } = granted;
  return json({
    access_token: token.accessToken,
    refresh_token: '',
    expires_in: String(source.issuer.remainingSeconds(token)),
    expires_on: String(token.expiresOn),
    not_before: String(token.notBefore),
    resource,
    token_type: 'Bearer',
  });
}

/** Of the query or of the form; `undefined` for what is neither. */
async function parametersOf({
  method,
  target,
  headers,
  readBody,
}: IncomingRequest): Promise<ReadonlyMap<string, string> | undefined> {
  if (method === 'GET') return target.query;
  const isForm = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() === FORM_TYPE;
  return method === 'POST' && isForm ? parseQuery(await readBody()).query : undefined;
}

const FORM_TYPE = 'application/x-www-form-urlencoded';
