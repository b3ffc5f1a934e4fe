import { identityError, json, type IdentityErrorCode, type Reply } from '../../http/reply.ts';
import { selectIdentity, type TokenIdentity } from '../../identity/select-identity.ts';
import type { IssuedToken, TokenIssuer } from '../../identity/token-issuer.ts';
import type { VirtualMachine } from '../../vm/virtual-machine.ts';
import type { MetadataRequest } from '../endpoint.ts';

export interface TokenSource {
  readonly vm: VirtualMachine;
  readonly issuer: TokenIssuer;
}

export type TokenGrant =
  | {
      readonly kind: 'token';
      readonly token: IssuedToken;
      readonly identity: TokenIdentity;
      readonly resource: string;
    }
  | { readonly kind: 'refused'; readonly reply: Reply };

/** `/metadata/identity/oauth2/token` */
export function answerToken(source: TokenSource, { query }: MetadataRequest): Reply {
  const granted = grantToken(source, query);
  if (granted.kind === 'refused') return granted.reply;
  const { token, identity, resource } = granted;
  // All values are texts, numbers too. The ids are echoed when the request has them (swagger).
  return json({
    access_token: token.accessToken,
    client_id: identity.clientId,
    expires_in: String(source.issuer.remainingSeconds(token)),
    expires_on: String(token.expiresOn),
    ext_expires_in: String(token.extendedLifetimeSeconds),
    not_before: String(token.notBefore),
    resource,
    token_type: 'Bearer',
    ...echo(query, 'object_id'),
    ...echo(query, 'msi_res_id'),
  });
}

/**
 * Issues the token that the parameters ask for. Error texts are those that IMDS was seen to answer, where a source is
 * known; see the notes at each.
 */
export function grantToken({ vm, issuer }: TokenSource, query: ReadonlyMap<string, string>): TokenGrant {
  const resource = query.get('resource') ?? '';
  if (resource === '') {
    return refused('invalid_request', "Required query variable 'resource' is missing");
  }
  if (!isAudience(resource)) {
    // The code and the number are in Microsoft's how-to-use-vm-token; the emulator cannot know which audiences exist.
    return refused(
      'invalid_resource',
      'AADSTS50001: The application named in the request was not found in the tenant',
    );
  }
  const selection = selectIdentity(vm, query);
  switch (selection.kind) {
    case 'not-found':
      return refused('invalid_request', 'Identity not found');
    case 'ambiguous':
      return refused(
        'invalid_request',
        'Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request',
      );
    case 'conflicting':
      // That they exclude each other is documented, the text is not.
      return refused('invalid_request', 'Only one of client_id, object_id and msi_res_id may be specified');
    case 'identity':
  }

  const { identity } = selection;
  const refusedTokenHash = query.get('token_sha256_to_refresh');
  const token = issuer.issue({
    identity,
    tenantId: vm.tenantId,
    resource,
    bypassCache: query.get('bypass_cache')?.toLowerCase() === 'true',
    ...(refusedTokenHash !== undefined && { refusedTokenHash }),
  });
  return { kind: 'token', token, identity, resource };
}

function refused(error: IdentityErrorCode, text: string): TokenGrant {
  return { kind: 'refused', reply: identityError(400, error, text) };
}

// App ID URIs and GUIDs of applications; both are without white space.
function isAudience(resource: string): boolean {
  return /^[\x21-\x7e]{1,1024}$/.test(resource);
}

function echo(query: ReadonlyMap<string, string>, name: string): Record<string, string> {
  const value = query.get(name) ?? '';
  return value === '' ? {} : { [name]: value };
}
