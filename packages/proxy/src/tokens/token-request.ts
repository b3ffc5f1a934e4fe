import { TOKEN_PATH, type IdentityRef } from '@msi-proxy/shared';
import type { Parameter } from '../gate/gated-request.ts';

/** A token request as the broker knows it: two that mean the same are equal, however they were written. */
export interface TokenRequest {
  /** What IMDS is asked; the same for every request that means the same. */
  readonly target: string;
  /** The same without any wish for freshness: everything that can change which token is right. */
  readonly plainTarget: string;
  /** The client wants what IMDS says now. */
  readonly bypassesCache: boolean;
  /** Others may be given the answer later. */
  readonly isKept: boolean;
  /** SHA-256 of a token that a service has refused. */
  readonly refusedTokenHash: string | undefined;
  readonly resource: string;
  /** Whose token it must be; `undefined` for whichever IMDS picks. */
  readonly identity: IdentityRef | undefined;
}

/** How fresh the token must be, not which one it is. */
const FRESHNESS = new Set(['bypass_cache', 'token_sha256_to_refresh']);

/**
 * Capabilities of the client, which change the token: one for clients that understand claims challenges is of no use to
 * others. Those who send it keep their tokens themselves, and ask only when they need another one.
 */
const CAPABILITIES = 'xms_cc';

/** What was made for a claims challenge is of no use to others, and any text is another challenge. */
const CLAIMS = 'claims';

const GUID_PARAMETERS = new Set(['client_id', 'object_id']);

/**
 * @param parameters of the request that was allowed, decoded, with the identity that policy added
 * @param identity whose token it must be
 */
export function tokenRequestOf(
  parameters: readonly Parameter[],
  identity: IdentityRef | undefined,
): TokenRequest {
  const value = (wanted: string) => parameters.find(({ name }) => name === wanted)?.value;
  // Only `true` has a meaning (swagger of IMDS); any other value would make of the same request many.
  const wantsFresh = value('bypass_cache')?.toLowerCase() === 'true';
  const refusedTokenHash = value('token_sha256_to_refresh');
  const meant = parameters.filter(({ name }) => name !== 'bypass_cache' || wantsFresh);
  const identifying = meant.filter(({ name }) => !FRESHNESS.has(name));
  const hasCapabilities = value(CAPABILITIES) !== undefined;
  return {
    // Encoded anew from what was judged: then no reader can find anything else in it.
    target: `${TOKEN_PATH}?${canonicalQuery(meant)}`,
    plainTarget: `${TOKEN_PATH}?${canonicalQuery(identifying)}`,
    bypassesCache: wantsFresh || refusedTokenHash !== undefined || hasCapabilities,
    isKept: !hasCapabilities && value(CLAIMS) === undefined,
    refusedTokenHash,
    resource: value('resource') ?? '',
    identity,
  };
}

function canonicalQuery(parameters: readonly Parameter[]): string {
  return parameters
    .map(({ name, value }) => {
      const canonical = GUID_PARAMETERS.has(name) ? value.toLowerCase() : value;
      return `${encodeURIComponent(name)}=${encodeURIComponent(canonical)}`;
    })
    .sort()
    .join('&');
}
