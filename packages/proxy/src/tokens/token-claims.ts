import type { IdentityRef } from '@msi-proxy/shared';

/** Whose token it is, as far as the answer and the token say. All in lower case. */
export interface TokenOwner {
  readonly clientId: string | undefined;
  readonly objectId: string | undefined;
  /** Of the user-assigned identity; of the VM for its system-assigned one. */
  readonly resourceId: string | undefined;
}

/**
 * Reads the claims of a token of Azure AD: `appid` (`azp` in newer tokens), `oid`, and `xms_mirid`, the resource id of a
 * managed identity. Some services' tokens are not readable; of those nothing is known but what the answer says.
 *
 * @param clientId of the answer
 */
export function ownerOf(accessToken: string, clientId: string | undefined): TokenOwner {
  const claims = claimsOf(accessToken);
  const claim = (name: string) => textOf(claims[name]);
  return {
    clientId: claim('appid') ?? claim('azp') ?? textOf(clientId),
    objectId: claim('oid'),
    resourceId: claim('xms_mirid'),
  };
}

/**
 * Whether the token can be the one of the identity that was asked for. What is not known is no contradiction.
 *
 * For `system` no parameter exists: IMDS picks the identity, and on a VM without a system-assigned identity it picks the
 * only user-assigned one (azure-sdk-for-python#41962), which the policy did not mean.
 */
export function canBelongTo(owner: TokenOwner, identity: IdentityRef): boolean {
  switch (identity.kind) {
    case 'system':
      return owner.resourceId?.includes('/userassignedidentities/') !== true;
    case 'client-id':
      return isSame(owner.clientId, identity.id);
    case 'object-id':
      return isSame(owner.objectId, identity.id);
    case 'resource-id':
      return isSame(owner.resourceId, identity.id);
  }
}

function isSame(known: string | undefined, asked: string): boolean {
  return known === undefined || known === asked.toLowerCase();
}

function claimsOf(accessToken: string): Readonly<Record<string, unknown>> {
  const [, payload = ''] = accessToken.split('.');
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.toLowerCase() : undefined;
}
