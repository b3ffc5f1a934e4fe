import { createHash } from 'node:crypto';
import type { Clock } from '@msi-proxy/shared';
import { createAccessToken } from './access-token.ts';
import type { TokenIdentity } from './select-identity.ts';

export interface IssuedToken {
  readonly accessToken: string;
  /** Seconds since 1970 UTC. */
  readonly notBefore: number;
  readonly expiresOn: number;
  /** Lifetime when it was issued; unlike the remaining time it does not shrink while the token is cached. */
  readonly extendedLifetimeSeconds: number;
}

export interface TokenRequest {
  readonly identity: TokenIdentity;
  readonly tenantId: string;
  readonly resource: string;
  /** Issue a new token even if a cached one is valid. */
  readonly bypassCache: boolean;
  /** SHA-256, in hexadecimal digits, of a token that a service has refused: that one is not given again. */
  readonly refusedTokenHash?: string;
}

// Azure AD dates tokens back by this much, against clocks that are late.
const BACKDATING_SECONDS = 300;

// IMDS renews its cached tokens before they expire; when exactly is not documented.
const RENEWAL_SECONDS = 300;

/**
 * Issues tokens and caches them as IMDS does: identical requests get the same token until shortly before it expires, so
 * that its remaining time shrinks from one answer to the next.
 */
export class TokenIssuer {
  readonly #clock: Clock;
  readonly #lifetimeSeconds: number;
  readonly #cache = new Map<string, IssuedToken>();

  constructor({ clock, lifetimeSeconds }: { readonly clock: Clock; readonly lifetimeSeconds: number }) {
    this.#clock = clock;
    this.#lifetimeSeconds = lifetimeSeconds;
  }

  issue(request: TokenRequest): IssuedToken {
    const key = `${request.tenantId} ${request.identity.clientId} ${request.resource}`;
    const cached = this.#cache.get(key);
    if (cached !== undefined && this.#isUsable(cached, request)) return cached;
    const issued = this.#create(request);
    this.#cache.set(key, issued);
    return issued;
  }

  /** Whole seconds until the token expires. */
  remainingSeconds({ expiresOn }: IssuedToken): number {
    return expiresOn - this.#nowSeconds();
  }

  #isUsable(token: IssuedToken, { bypassCache, refusedTokenHash }: TokenRequest): boolean {
    if (bypassCache || refusedTokenHash?.toLowerCase() === sha256(token.accessToken)) return false;
    return this.remainingSeconds(token) > Math.min(RENEWAL_SECONDS, this.#lifetimeSeconds / 2);
  }

  #create({ identity, tenantId, resource }: TokenRequest): IssuedToken {
    const issuedAt = this.#nowSeconds();
    const notBefore = issuedAt - BACKDATING_SECONDS;
    const expiresOn = issuedAt + this.#lifetimeSeconds;
    const grant = { identity, tenantId, resource, issuedAt, notBefore, expiresOn };
    // One second less, as in captured answers ("ext_expires_in":"86399").
    const extendedLifetimeSeconds = this.#lifetimeSeconds - 1;
    return { accessToken: createAccessToken(grant), notBefore, expiresOn, extendedLifetimeSeconds };
  }

  #nowSeconds(): number {
    return Math.floor(this.#clock.wallMillis() / 1000);
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
