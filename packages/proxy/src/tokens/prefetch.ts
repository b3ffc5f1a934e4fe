import type { Caller, ClientPolicy, ResourcePattern } from '@msi-proxy/shared';
import { identityParameter } from '../authorize/identity-parameter.ts';
import type { CallerTable } from '../callers/caller-table.ts';
import type { TokenBroker } from './token-broker.ts';
import { tokenRequestOf, type TokenRequest } from './token-request.ts';

// The one that every SDK sends.
const API_VERSION = '2018-02-01';

export interface PrefetchOptions {
  readonly broker: TokenBroker;
  readonly table: CallerTable;
  /** Only the proxy that serves needs tokens. */
  readonly isServing: () => boolean;
}

/**
 * Gets the tokens that a client will ask for, as far as its labels say, when the monitor names it.
 *
 * @returns what looks at every client once more, for when this proxy begins to serve
 */
export function prefetchForCallers({ broker, table, isServing }: PrefetchOptions): () => void {
  const prefetch = (address: string) => {
    const caller = table.get(address)?.caller;
    if (caller === undefined || !isServing()) return;
    for (const request of foreseeableRequests(caller)) broker.prefetch(request, caller.containerId);
  };
  table.onChange(prefetch);
  return () => {
    for (const address of table.addresses) prefetch(address);
  };
}

function foreseeableRequests({ grant }: Caller): TokenRequest[] {
  if (grant.kind !== 'client' || !grant.policy.endpoints.includes('token')) return [];
  const { defaultIdentity } = grant.policy;
  if (defaultIdentity === undefined) return [];
  const named = identityParameter(defaultIdentity, 'token');
  return concreteResources(grant.policy).map(resource => {
    const parameters = [
      { name: 'api-version', value: API_VERSION },
      { name: 'resource', value: resource },
      ...(named === undefined ? [] : [named]),
    ];
    return tokenRequestOf(parameters, defaultIdentity);
  });
}

function concreteResources({ resources }: ClientPolicy): string[] {
  if (resources === 'any') return [];
  const isExact = (pattern: ResourcePattern) => pattern.kind === 'exact';
  return resources.filter(isExact).map(({ resource }) => resource);
}
