import assert from 'node:assert/strict';
import type { ClientStatus, PolicySummary } from '@msi-proxy/shared';
import { clientsView, type ClientFilter } from '../../../src/page/model/clients-view.ts';
import { someStatus } from '../status/support.ts';

const NOW = '2026-01-01T02:00:00.000Z';
const EVERYTHING: ClientFilter = { text: '', state: 'all' };
const [client] = someStatus().clients;

function clientOf(name: string, changes: Partial<ClientStatus> = {}): ClientStatus {
  return { ...client!, containerId: name.padEnd(64, '0'), name, ...changes };
}

function view(clients: readonly ClientStatus[], filter: Partial<ClientFilter> = {}, limit = 100) {
  const options = { limit, nowMillis: Date.parse(NOW) };
  return clientsView({ clients, tokens: TOKENS }, { ...EVERYTHING, ...filter }, options);
}

const TOKENS = [
  {
    id: 7,
    identity: 'system',
    resource: 'https://vault.azure.net/',
    receivedAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-01T08:00:00.000Z',
    hits: 3,
  },
];

describe('the rows of clients', () => {
  it('begin with those that need somebody, then go by name as people count', () => {
    const lastRefusal = { at: '2026-01-01T01:55:00.000Z', reason: 'identity-not-granted' };
    const clients = [
      clientOf('web-10'),
      clientOf('web-9'),
      clientOf('asks-too-much', { traffic: { requests: 2, refusals: 1, lastRefusal } }),
      clientOf('waits', { state: 'pending' }),
      clientOf('mistyped', { state: 'refused' }),
      clientOf('broken', { state: 'failed' }),
    ];
    assert.deepEqual(
      view(clients).rows.map(({ name }) => name),
      ['broken', 'mistyped', 'waits', 'asks-too-much', 'web-9', 'web-10'],
    );
  });

  it('say in words what is known', () => {
    const lastRefusal = { at: '2026-01-01T01:57:30.000Z', reason: 'resource-not-granted' };
    const [row] = view([
      clientOf('web', {
        wiredAfterMillis: 1_234,
        traffic: { requests: 12_345, refusals: 2, lastRefusal },
        tokens: [7, 8],
      }),
    ]).rows;
    assert.equal(row?.age, '1 h');
    assert.equal(row.took, '1.2 s');
    assert.equal(row.requests, '12,345');
    assert.deepEqual(row.lastRefusal, {
      at: lastRefusal.at,
      age: '2 min',
      reason: 'resource not granted',
    });
    const [token, unknown] = row.tokens;
    assert.deepEqual(
      [token?.shortResource, token?.leftText, token?.left],
      ['vault.azure.net', '6 h left', 0.75],
    );
    assert.equal(unknown, undefined, 'a token that is not kept any more');
  });

  it('tell when nothing is known of a client yet', () => {
    const { policy, method, ...bare } = clientOf('new', { state: 'pending' });
    assert.ok(policy !== undefined && method !== undefined);
    const [row] = view([bare]).rows;
    assert.deepEqual([row?.identity, row?.requests, row?.method, row?.tokens], ['', '0', undefined, []]);
  });

  const ORDERS =
    '/subscriptions/x/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/orders';
  const identities: readonly [Pick<PolicySummary, 'identity' | 'identities'>, string][] = [
    [{ identities: ['*'] }, 'any of the VM’s'],
    [{ identity: 'system', identities: ['system'] }, 'system'],
    [{ identity: ORDERS, identities: [ORDERS] }, 'orders'],
    [{ identity: ORDERS, identities: [ORDERS, 'system', 'x'] }, 'orders + 2'],
    [{ identity: 'system', identities: ['system', '*'] }, 'system, or any'],
    [{ identities: ['system'] }, 'system'],
    [{ identities: [] }, 'none'],
    [{ identity: '0f8fad5b-d9cb-469f-a165-70867728950e', identities: [] }, '0f8fad5b…'],
    [{ identity: 'object:0f8fad5b-d9cb-469f-a165-70867728950e', identities: [] }, 'object:0f8fad5b…'],
  ];
  for (const [policy, expected] of identities) {
    it(`call its identity "${expected}"`, () => {
      const whole = { resources: ['https://vault.azure.net'], endpoints: ['token' as const], ...policy };
      const [row] = view([clientOf('web', { policy: whole })]).rows;
      assert.equal(row?.identity, expected);
      assert.equal(row.resources, 'vault.azure.net');
    });
  }

  it('are filtered by name, image, id, address, state, reason and method, in any case', () => {
    const odd = clientOf('odd', { image: 'Reg/Special:1', addresses: ['10.9.8.7'], method: 'nat' });
    const refused = clientOf('r', { state: 'refused', reason: 'no such label' });
    for (const [text, expected] of [
      [' ODD ', ['odd']],
      ['special', ['odd']],
      ['10.9.8', ['odd']],
      ['nat', ['odd']],
      ['such LABEL', ['r']],
      ['refused', ['r']],
      ['web0000', ['web']],
      ['nothing like it', []],
    ] as const) {
      const names = view([odd, refused, clientOf('web')], { text }).rows.map(({ name }) => name);
      assert.deepEqual(names, expected, text);
    }
    assert.deepEqual(
      view([odd, refused], { state: 'refused' }).rows.map(({ name }) => name),
      ['r'],
    );
  });

  it('are capped, and say how many are not shown', () => {
    const clients = Array.from({ length: 2_000 }, (_, index) => clientOf(`web-${index}`));
    const { rows, more, matching, counts } = view([...clients, clientOf('broken', { state: 'failed' })]);
    assert.equal(rows.length, 100);
    assert.equal(rows[0]?.name, 'broken');
    assert.deepEqual([more, matching], [1_901, 2_001]);
    assert.deepEqual(counts, { all: 2_001, failed: 1, refused: 0, pending: 0, wired: 2_000 });
  });
});
