import assert from 'node:assert/strict';
import type { IdentityRef } from '@msi-proxy/shared';
import { canBelongTo, ownerOf } from '../../../src/tokens/token-claims.ts';
import { tokenWith, type Claims } from '../support/token-text.ts';

const CLIENT_ID = '00000000-0000-0000-0000-00000000000A';
const OBJECT_ID = '00000000-0000-0000-0000-00000000000B';
const USER_ASSIGNED =
  '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app';
const VM =
  '/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/rg/providers/Microsoft.Compute/virtualMachines/vm';

function allows(claims: Claims | string, identity: IdentityRef, clientId?: string): boolean {
  const token = typeof claims === 'string' ? claims : tokenWith(claims);
  return canBelongTo(ownerOf(token, clientId), identity);
}

describe('the owner of a token', () => {
  it('is compared with the client id that was asked for, without case', () => {
    const identity: IdentityRef = { kind: 'client-id', id: CLIENT_ID };
    assert.ok(allows({ appid: CLIENT_ID.toLowerCase() }, identity));
    assert.ok(!allows({ appid: OBJECT_ID }, identity));
  });

  it('is compared with the object id and the resource id that were asked for', () => {
    assert.ok(allows({ oid: OBJECT_ID }, { kind: 'object-id', id: OBJECT_ID }));
    assert.ok(!allows({ oid: CLIENT_ID }, { kind: 'object-id', id: OBJECT_ID }));
    assert.ok(allows({ xms_mirid: USER_ASSIGNED.toLowerCase() }, { kind: 'resource-id', id: USER_ASSIGNED }));
    assert.ok(!allows({ xms_mirid: `${USER_ASSIGNED}2` }, { kind: 'resource-id', id: USER_ASSIGNED }));
  });

  it('is the system-assigned identity only if it is no user-assigned one', () => {
    assert.ok(allows({ xms_mirid: VM }, { kind: 'system' }));
    assert.ok(!allows({ xms_mirid: USER_ASSIGNED }, { kind: 'system' }));
  });

  it('is believed from the answer where the token cannot be read', () => {
    for (const token of ['opaque', 'a.b.c', 'a.bnVsbA.c', '']) {
      assert.ok(allows(token, { kind: 'client-id', id: CLIENT_ID }, CLIENT_ID), token);
      assert.ok(!allows(token, { kind: 'client-id', id: CLIENT_ID }, OBJECT_ID), token);
      assert.ok(allows(token, { kind: 'system' }, CLIENT_ID), token);
    }
  });
});
