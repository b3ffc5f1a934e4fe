import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatIdentity, parseIdentity, sameIdentity, type IdentityRef } from '@msi-proxy/shared';
import { identityText } from '../support/arbitraries.ts';

const GUID = 'aaaaaaaa-0000-4000-8000-000000000001';

describe('identities', () => {
  it('read back as they are written', () => {
    fc.assert(
      fc.property(identityText, text => {
        const identity = parseIdentity(text);
        assert.ok(identity);
        assert.deepEqual(parseIdentity(formatIdentity(identity)), identity);
      }),
    );
  });

  it('are the same without regard to case', () => {
    const lower: IdentityRef = { kind: 'resource-id', id: '/subscriptions/x' };
    const upper: IdentityRef = { kind: 'resource-id', id: '/SUBSCRIPTIONS/X' };
    assert.ok(sameIdentity(lower, upper));
    assert.ok(sameIdentity({ kind: 'system' }, { kind: 'system' }));
  });

  it('are different when they are named by different kinds of ids', () => {
    const client: IdentityRef = { kind: 'client-id', id: GUID };
    const object: IdentityRef = { kind: 'object-id', id: GUID };
    assert.equal(sameIdentity(client, object), false);
    assert.equal(sameIdentity(client, { kind: 'system' }), false);
    assert.equal(sameIdentity({ kind: 'system' }, client), false);
  });
});
