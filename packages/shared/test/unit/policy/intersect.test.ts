import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  ENDPOINT_GROUPS,
  intersectPolicies,
  matchesResource,
  parseIdentity,
  sameIdentity,
  summarizePolicy,
  type ClientPolicy,
  type IdentityRef,
} from '@msi-proxy/shared';
import { audience, identityText, policy } from '../support/arbitraries.ts';

function allowsIdentity({ identities }: ClientPolicy, identity: IdentityRef): boolean {
  return identities === 'any' || identities.some(each => sameIdentity(each, identity));
}

function allowsResource({ resources }: ClientPolicy, resource: string): boolean {
  return resources === 'any' || resources.some(pattern => matchesResource(pattern, resource));
}

describe('the policy of containers that share an address', () => {
  it('allows an identity exactly when each of them does', () => {
    fc.assert(
      fc.property(policy, policy, identityText, (a, b, text) => {
        const identity = parseIdentity(text)!;
        assert.equal(
          allowsIdentity(intersectPolicies(a, b), identity),
          allowsIdentity(a, identity) && allowsIdentity(b, identity),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it('allows an audience exactly when each of them does', () => {
    fc.assert(
      fc.property(policy, policy, audience, (a, b, resource) => {
        assert.equal(
          allowsResource(intersectPolicies(a, b), resource),
          allowsResource(a, resource) && allowsResource(b, resource),
        );
      }),
      { numRuns: 5_000 },
    );
  });

  it('allows an endpoint group exactly when each of them does', () => {
    fc.assert(
      fc.property(policy, policy, (a, b) => {
        const common = intersectPolicies(a, b).endpoints;
        for (const group of ENDPOINT_GROUPS) {
          assert.equal(common.includes(group), a.endpoints.includes(group) && b.endpoints.includes(group));
        }
      }),
    );
  });

  it('has a default identity only if each of them allows it and none has another', () => {
    fc.assert(
      fc.property(policy, policy, (a, b) => {
        const { defaultIdentity } = intersectPolicies(a, b);
        if (defaultIdentity === undefined) return;
        assert.ok(allowsIdentity(a, defaultIdentity) && allowsIdentity(b, defaultIdentity));
        for (const { defaultIdentity: own } of [a, b]) {
          assert.ok(own === undefined || sameIdentity(own, defaultIdentity));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('is the same in either order and with itself', () => {
    fc.assert(
      fc.property(policy, policy, audience, identityText, (a, b, resource, text) => {
        const [one, other] = [intersectPolicies(a, b), intersectPolicies(b, a)];
        const identity = parseIdentity(text)!;
        assert.equal(allowsResource(one, resource), allowsResource(other, resource));
        assert.equal(allowsIdentity(one, identity), allowsIdentity(other, identity));
        assert.equal(allowsResource(intersectPolicies(a, a), resource), allowsResource(a, resource));
        assert.deepEqual(intersectPolicies(a, a).defaultIdentity, a.defaultIdentity);
      }),
    );
  });

  it('takes the default of the one that has one', () => {
    const system: IdentityRef = { kind: 'system' };
    const free: ClientPolicy = { identities: 'any', resources: 'any', endpoints: ['token'] };
    const bound: ClientPolicy = { ...free, identities: [system], defaultIdentity: system };
    assert.deepEqual(intersectPolicies(free, bound), bound);
    assert.deepEqual(intersectPolicies(bound, free), bound);
  });

  it('is told in the words of the labels', () => {
    assert.deepEqual(
      summarizePolicy({
        defaultIdentity: { kind: 'system' },
        identities: [{ kind: 'system' }, { kind: 'object-id', id: 'x' }],
        resources: [
          { kind: 'prefix', prefix: 'https://' },
          { kind: 'exact', resource: 'a' },
        ],
        endpoints: ['token'],
      }),
      {
        identity: 'system',
        identities: ['system', 'object:x'],
        resources: ['https://*', 'a'],
        endpoints: ['token'],
      },
    );
    assert.deepEqual(summarizePolicy({ identities: 'any', resources: 'any', endpoints: [] }), {
      identities: ['*'],
      resources: ['*'],
      endpoints: [],
    });
  });
});
