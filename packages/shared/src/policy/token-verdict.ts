import {
  IDENTITIES_LABEL,
  IDENTITY_LABEL,
  RESOURCES_LABEL,
  ENDPOINTS_LABEL,
  type PolicyLabel,
} from '../labels.ts';
import type { ClientPolicy } from './client-policy.ts';
import { formatIdentity, sameIdentity, type IdentityRef } from './identity.ts';
import { matchesResource } from './resources.ts';

/** A token request, as far as policies look at it. What is left out is not judged. */
export interface TokenWish {
  /** Whose; absent for a request that names nobody. */
  readonly identity?: IdentityRef;
  /** For which audience. */
  readonly resource?: string;
}

export type TokenVerdict =
  /** `identity` is whose token it will be; absent where IMDS chooses. */
  | { readonly allowed: true; readonly identity?: IdentityRef }
  /** `reason` in words, and the label that would have to say something else. */
  | { readonly allowed: false; readonly reason: string; readonly label: PolicyLabel };

/** What a policy says to a token request. */
export function tokenVerdict(policy: ClientPolicy, { identity, resource }: TokenWish): TokenVerdict {
  const refused = (reason: string, label: PolicyLabel): TokenVerdict => ({ allowed: false, reason, label });
  const { defaultIdentity, identities, resources, endpoints } = policy;
  if (!endpoints.includes('token'))
    return refused('the endpoint group "token" is not granted', ENDPOINTS_LABEL);
  if (identity !== undefined && !permitsIdentity(policy, identity)) {
    const granted = identities === 'any' ? 'any' : identities.map(formatIdentity).join(', ');
    return refused(`only these identities are granted: ${granted}`, IDENTITIES_LABEL);
  }
  const used = identity ?? defaultIdentity;
  if (used === undefined && identities !== 'any') {
    return refused('the request names no identity, and the container has no default one', IDENTITY_LABEL);
  }
  if (resource !== undefined && !permitsResource(policy, resource)) {
    const granted = resources === 'any' ? 0 : resources.length;
    return refused(`the resource is not one of the ${granted} that are granted`, RESOURCES_LABEL);
  }
  return { allowed: true, ...(used !== undefined && { identity: used }) };
}

export function permitsIdentity({ identities }: ClientPolicy, identity: IdentityRef): boolean {
  return identities === 'any' || identities.some(granted => sameIdentity(granted, identity));
}

export function permitsResource({ resources }: ClientPolicy, resource: string): boolean {
  return resources === 'any' || resources.some(pattern => matchesResource(pattern, resource));
}
