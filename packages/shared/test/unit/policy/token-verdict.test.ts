import assert from 'node:assert/strict';
import { parseClientPolicy, parseIdentity, tokenVerdict, type Labels } from '../../../src/index.ts';

const CLIENT_ID = '11111111-1111-1111-1111-111111111111';
const OTHER_ID = '22222222-2222-2222-2222-222222222222';

function verdict(labels: Labels, wish: { identity?: string; resource?: string }) {
  const result = parseClientPolicy(labels);
  assert.ok(result.ok);
  const identity = wish.identity === undefined ? undefined : parseIdentity(wish.identity);
  return tokenVerdict(result.policy, {
    ...(identity && { identity }),
    ...(wish.resource !== undefined && { resource: wish.resource }),
  });
}

const RESTRICTED: Labels = {
  'com.msi-proxy.identity': CLIENT_ID,
  'com.msi-proxy.resources': 'https://vault.azure.net',
};

describe('the verdict on a token request', () => {
  it('allows everything without policy labels, and says that IMDS chooses', () => {
    assert.deepEqual(verdict({}, { resource: 'https://any' }), { allowed: true });
    assert.deepEqual(verdict({}, { identity: 'system' }), { allowed: true, identity: { kind: 'system' } });
  });

  it('uses the default identity where none is named', () => {
    const { allowed, ...rest } = verdict(RESTRICTED, { resource: 'https://vault.azure.net/' });
    assert.ok(allowed);
    assert.deepEqual(rest, { identity: { kind: 'client-id', id: CLIENT_ID } });
  });

  for (const [what, labels, wish, label] of [
    ['another identity', RESTRICTED, { identity: OTHER_ID }, 'com.msi-proxy.identities'],
    ['another resource', RESTRICTED, { resource: 'https://storage.azure.com' }, 'com.msi-proxy.resources'],
    [
      'no identity where there is no default',
      { 'com.msi-proxy.identities': CLIENT_ID },
      {},
      'com.msi-proxy.identity',
    ],
    ['tokens that are not granted', { 'com.msi-proxy.endpoints': 'instance' }, {}, 'com.msi-proxy.endpoints'],
  ] as const) {
    it(`refuses ${what}, and names the label`, () => {
      const result = verdict(labels, wish);
      assert.ok(!result.allowed);
      assert.equal(result.label, label);
    });
  }
});
