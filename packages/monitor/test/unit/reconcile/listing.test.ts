import assert from 'node:assert/strict';
import type { ContainerDetails, ContainerSummary } from '../../../src/docker/index.ts';
import { isAsListed } from '../../../src/reconcile/listing.ts';

const NETWORK = { name: 'net', networkId: 'n1', address: '172.18.0.2', endpointId: 'e1' };
const OTHER_NETWORK = { name: 'other', networkId: 'n2', address: '172.19.0.2', endpointId: 'e2' };
const COMMON = {
  id: 'c'.repeat(64),
  name: 'web',
  image: 'web:1',
  labels: { a: '1', b: '2' },
  state: 'running',
  networkMode: 'net',
  networks: [NETWORK, OTHER_NETWORK],
} as const;
const READ: ContainerDetails = {
  ...COMMON,
  platform: 'linux',
  startedAt: '2026-01-01T00:00:00.000000001Z',
  pid: 4711,
  sandboxKey: '/var/run/docker/netns/1',
  mayForgePackets: true,
  isolation: '',
};
const LISTED: ContainerSummary = { ...COMMON, createdAt: '2026-01-01T00:00:00Z' };

describe('a container is as the list shows it', () => {
  it('when all is the same, in whatever order, and whatever its image is called now', () => {
    assert.ok(isAsListed(READ, LISTED));
    const reordered = { labels: { b: '2', a: '1' }, networks: [OTHER_NETWORK, NETWORK], image: 'sha256:1' };
    assert.ok(isAsListed(READ, { ...LISTED, ...reordered }));
  });

  const changes: Record<string, Partial<ContainerSummary>> = {
    'has started again, which gives it another endpoint': {
      networks: [{ ...NETWORK, endpointId: 'e3' }, OTHER_NETWORK],
    },
    'has another address': { networks: [{ ...NETWORK, address: '172.18.0.3' }, OTHER_NETWORK] },
    'has come to a network': { networks: [NETWORK, OTHER_NETWORK, { ...NETWORK, name: 'third' }] },
    'has left a network': { networks: [NETWORK] },
    'has lost its interface': {
      networks: [NETWORK, { name: 'other', networkId: 'n2', address: '172.19.0.2' }],
    },
    'is paused': { state: 'paused' },
    'has another name': { name: 'db' },
    'has other labels': { labels: { a: '1', b: '3' } },
    'has a label more': { labels: { a: '1', b: '2', c: '3' } },
    'is in another network mode': { networkMode: 'host' },
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`not when it ${what}`, () => {
      assert.ok(!isAsListed(READ, { ...LISTED, ...change }));
    });
  }

  it('never where the list cannot show that it has started again', () => {
    const joined = { networkMode: `container:${'d'.repeat(64)}`, networks: [] };
    assert.ok(!isAsListed({ ...READ, ...joined }, { ...LISTED, ...joined }), 'no network of its own');
    const bare = { networks: [{ name: 'net', networkId: 'n1', address: '172.18.0.2' }] };
    assert.ok(!isAsListed({ ...READ, ...bare }, { ...LISTED, ...bare }), 'no endpoint');
    assert.ok(!isAsListed({ ...READ, platform: 'windows' }, LISTED), 'Windows');
  });
});
