import type { PolicySummary } from '../status/status.ts';
import type { ClientPolicy } from './client-policy.ts';
import { formatIdentity } from './identity.ts';
import { formatResourcePattern } from './resources.ts';

/** A policy in the words of the labels; `*` stands for any. */
export function summarizePolicy(policy: ClientPolicy): PolicySummary {
  return {
    ...(policy.defaultIdentity && { identity: formatIdentity(policy.defaultIdentity) }),
    identities: policy.identities === 'any' ? ['*'] : policy.identities.map(formatIdentity),
    resources: policy.resources === 'any' ? ['*'] : policy.resources.map(formatResourcePattern),
    endpoints: policy.endpoints,
  };
}
