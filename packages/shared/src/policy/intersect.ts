import type { ClientPolicy } from './client-policy.ts';
import { sameIdentity, type IdentityRef } from './identity.ts';
import { coversPattern, type ResourcePattern } from './resources.ts';

/**
 * What both policies allow. Containers that share a network namespace have one address, and an address can only be
 * given what each of its sharers was given.
 */
export function intersectPolicies(a: ClientPolicy, b: ClientPolicy): ClientPolicy {
  const identities = intersectIdentities(a.identities, b.identities);
  const defaultIdentity = commonDefault(a, b, identities);
  return {
    ...(defaultIdentity && { defaultIdentity }),
    identities,
    resources: intersectResources(a.resources, b.resources),
    endpoints: a.endpoints.filter(group => b.endpoints.includes(group)),
  };
}

function intersectIdentities(
  a: ClientPolicy['identities'],
  b: ClientPolicy['identities'],
): ClientPolicy['identities'] {
  if (a === 'any') return b;
  if (b === 'any') return a;
  return a.filter(identity => b.some(other => sameIdentity(identity, other)));
}

function commonDefault(
  a: ClientPolicy,
  b: ClientPolicy,
  allowed: ClientPolicy['identities'],
): IdentityRef | undefined {
  const first = a.defaultIdentity ?? b.defaultIdentity;
  const second = b.defaultIdentity ?? a.defaultIdentity;
  if (first === undefined || second === undefined || !sameIdentity(first, second)) return undefined;
  return allowed === 'any' || allowed.some(identity => sameIdentity(identity, first)) ? first : undefined;
}

function intersectResources(
  a: ClientPolicy['resources'],
  b: ClientPolicy['resources'],
): ClientPolicy['resources'] {
  if (a === 'any') return b;
  if (b === 'any') return a;
  const common: ResourcePattern[] = [];
  for (const left of a) {
    for (const right of b) {
      if (coversPattern(right, left)) common.push(left);
      else if (coversPattern(left, right)) common.push(right);
    }
  }
  return common;
}
