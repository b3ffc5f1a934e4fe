import { DEFAULT_ENDPOINT_GROUPS, type Caller, type ClientPolicy, type Grant } from '@msi-proxy/shared';

export const ANY_POLICY: ClientPolicy = {
  identities: 'any',
  resources: 'any',
  endpoints: DEFAULT_ENDPOINT_GROUPS,
};

export const UNLABELLED: Grant = { kind: 'unlabelled' };

export function grantOf(policy: Partial<ClientPolicy> = {}): Grant {
  return { kind: 'client', policy: { ...ANY_POLICY, ...policy } };
}

export function callerAt(address: string, overrides: Partial<Caller> = {}): Caller {
  return {
    address,
    containerId: 'c'.repeat(64),
    name: 'client',
    startedAt: '2026-01-01T00:00:00.000000001Z',
    grant: grantOf(),
    ...overrides,
  };
}
