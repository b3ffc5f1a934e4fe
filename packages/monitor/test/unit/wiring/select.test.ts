import assert from 'node:assert/strict';
import type { WiringMethodName } from '@msi-proxy/shared';
import { createWiringSelector, UNKNOWN_DRIVER } from '../../../src/wiring/select.ts';
import type { Suitability, WiringMethod } from '../../../src/wiring/wiring-method.ts';
import { network, wirableClient } from '../support/clients.ts';

function method(name: WiringMethodName, reason?: string): WiringMethod {
  const suitability: Suitability = reason === undefined ? { suitable: true } : { suitable: false, reason };
  return {
    name,
    suits: () => suitability,
    apply: () => Promise.resolve('unchanged'),
    verify: () => Promise.resolve(),
    remove: () => Promise.resolve(),
  };
}

describe('createWiringSelector', () => {
  const client = wirableClient();

  it('takes the first method that suits', () => {
    const nat = method('nat');
    const methods = [method('host', 'it is on macvlan'), nat, method('attach')];

    assert.deepEqual(createWiringSelector({ methods, setting: 'auto' }).select(client), {
      kind: 'method',
      method: nat,
    });
  });

  it('takes only the method that is set', () => {
    const nat = method('nat');
    const selector = createWiringSelector({ methods: [method('host'), nat], setting: 'nat' });

    assert.deepEqual(selector.select(client), { kind: 'method', method: nat });
  });

  it('gives the reasons of all methods when none suits', () => {
    const methods = [method('host', 'it is on macvlan'), method('nat', 'it has no address')];

    assert.deepEqual(createWiringSelector({ methods, setting: 'auto' }).select(client), {
      kind: 'none',
      code: 'MSI_WIRING_NOT_APPLICABLE',
      reason: 'host: it is on macvlan; nat: it has no address',
    });
  });

  it('waits while it is not known what kind of network the client is on', () => {
    const networks = [network(), network({ name: 'new', driver: UNKNOWN_DRIVER })];
    const selector = createWiringSelector({ methods: [method('nat')], setting: 'auto' });

    assert.deepEqual(selector.select(wirableClient({ networks })), {
      kind: 'later',
      reason: 'nothing is known yet of its network new',
    });
  });

  it('tells when the method that is set does not exist here', () => {
    const choice = createWiringSelector({ methods: [method('host')], setting: 'portproxy' }).select(client);

    assert.ok(choice.kind === 'none');
    assert.match(choice.reason, /portproxy/);
  });
});
