import { randomUUID } from 'node:crypto';
import type { TokenIdentity } from './select-identity.ts';

/** Times are seconds since 1970 UTC. */
export interface TokenGrant {
  readonly identity: TokenIdentity;
  readonly tenantId: string;
  readonly resource: string;
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly expiresOn: number;
}

const HEADER_SEGMENT = encodeSegment({ typ: 'JWT', alg: 'none', kid: 'imds-emulator' });
const SIGNATURE_SEGMENT = 'imds-emulator-token-is-not-signed';

/** The beginning and the end of every token: a test that finds one of them in a log has found leaked token bytes. */
export const TOKEN_MARKERS: readonly string[] = [HEADER_SEGMENT, SIGNATURE_SEGMENT];

/** A token in the form of a JWT with the claims of Azure AD's. It is not signed: no service accepts it. */
export function createAccessToken(grant: TokenGrant): string {
  const { identity, tenantId, resource } = grant;
  const claims = {
    aud: resource,
    iss: `https://sts.windows.net/${tenantId}/`,
    iat: grant.issuedAt,
    nbf: grant.notBefore,
    exp: grant.expiresOn,
    appid: identity.clientId,
    appidacr: '2',
    idp: `https://sts.windows.net/${tenantId}/`,
    idtyp: 'app',
    oid: identity.objectId,
    sub: identity.objectId,
    tid: tenantId,
    // Makes each token different from all others, as Azure AD's are.
    uti: randomUUID(),
    ver: '1.0',
    xms_mirid: identity.resourceId,
  };
  return `${HEADER_SEGMENT}.${encodeSegment(claims)}.${SIGNATURE_SEGMENT}`;
}

function encodeSegment(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
