import { TOKEN_PATH } from '@msi-proxy/shared';
import { badRequest } from '@msi-proxy/shared/http';
import { endpointOf } from './endpoint.ts';
import { refusal, type GateVerdict } from './gate-verdict.ts';
import { parseTarget } from './target.ts';

/*
 * The older VM extension (MicrosoftDocs/azure-docs@064d39c `managed-service-identity/how-to-use-vm-token.md`): the same
 * tokens at a path of its own, without `api-version`, by GET or by a form (Azure/msrestazure-for-python@00f066b
 * `get_msi_token`). What its clients ask for becomes the request that means the same to IMDS before it is judged; from
 * there on there is no other reading of it.
 */

const FORM_TYPE = /^application\/x-www-form-urlencoded(?: *; *charset=utf-8)?$/i;

export function isFormType(contentType: string | undefined): boolean {
  return contentType !== undefined && FORM_TYPE.test(contentType);
}

/**
 * Judges the parameters of a request in the extension's protocol, by the rules for a query.
 *
 * @param parameters as they were sent; nothing is decoded on the way
 */
export function passExtensionQuery(parameters: string): GateVerdict {
  // An api-version of the client's own is refused as a repeated one.
  const target = `${TOKEN_PATH}?api-version=2018-02-01${parameters === '' ? '' : `&${parameters}`}`;
  const parsed = parseTarget(target);
  if (!parsed.ok) return refusal(parsed.reason, badRequest('identity', parsed.text));
  const { path, query } = parsed;
  const endpoint = endpointOf(path, 'GET')!;
  return { kind: 'pass', request: { method: 'GET', target, path, query, endpoint, contentLength: 0 } };
}

/** Judges the body of a form, whose headers {@link passGate} has judged. */
export function passForm(body: Buffer): GateVerdict {
  const form = body.toString('latin1');
  // In a form it is a space, in a query itself. Nothing that can be asked for has either.
  if (form.includes('+')) {
    return refusal('query-not-canonical', badRequest('identity', 'A form with + is not in canonical form'));
  }
  return passExtensionQuery(form);
}
