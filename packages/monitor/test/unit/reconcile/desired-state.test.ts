import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CLIENT_LABEL, ENDPOINTS_LABEL, IDENTITY_LABEL, PROXY_LABEL } from '@msi-proxy/shared';
import type { ContainerDetails } from '../../../src/docker/index.ts';
import {
  desiredState,
  type DesiredState,
  type DesiredStateOptions,
} from '../../../src/reconcile/desired-state.ts';

type Changes = Partial<ContainerDetails> & { readonly addresses?: readonly string[] };

function container(id: string, { addresses = [], ...changes }: Changes = {}): ContainerDetails {
  return {
    id,
    name: `name of ${id}`,
    image: 'image',
    labels: {},
    platform: 'linux',
    mayForgePackets: true,
    isolation: '',
    state: 'running',
    startedAt: '2026-01-01T00:00:00.000000001Z',
    pid: 1,
    networkMode: 'default',
    sandboxKey: `/var/run/docker/netns/${id}`,
    networks: addresses.map((address, index) => ({ name: `net${index}`, networkId: `n${index}`, address })),
    ...changes,
  };
}

const CLIENT = { [CLIENT_LABEL]: '' };

function desiredOf(
  containers: readonly ContainerDetails[],
  options: DesiredStateOptions = { unlabelledSharers: 'refuse', containerOs: 'auto' },
  gatewayAddresses: ReadonlyMap<string, string> = new Map(),
): DesiredState {
  return desiredState({ containers, networks: [], gatewayAddresses, defaultIsolation: '' }, options);
}

function reasonOf(state: DesiredState, id: string): string {
  const plan = state.clients.find(client => client.container.id === id)?.plan;
  return plan?.kind === 'refuse' ? plan.reason : '';
}

describe('desiredState', () => {
  it('names every address of every container, also of those that no label asks for', () => {
    const state = desiredOf(
      [
        container('client', { labels: CLIENT, addresses: ['10.0.0.2', '10.1.0.2'] }),
        container('other', { addresses: ['10.0.0.3', ''] }),
      ],
      { unlabelledSharers: 'refuse', containerOs: 'auto' },
      new Map([['other', '172.18.0.3']]),
    );
    assert.deepEqual(
      [...state.callers.values()].map(({ address, grant }) => [address, grant.kind]),
      [
        ['10.0.0.2', 'client'],
        ['10.1.0.2', 'client'],
        ['10.0.0.3', 'unlabelled'],
        ['172.18.0.3', 'unlabelled'],
      ],
    );
  });

  it('takes the strictest of those who share a namespace, however they joined', () => {
    const state = desiredOf([
      container('last', {
        networkMode: 'container:middle',
        labels: { ...CLIENT, [ENDPOINTS_LABEL]: 'token' },
      }),
      container('middle', { networkMode: 'container:owner', labels: CLIENT }),
      container('owner', { labels: { ...CLIENT, [IDENTITY_LABEL]: 'system' }, addresses: ['10.0.0.2'] }),
    ]);
    const grant = state.callers.get('10.0.0.2')?.grant;
    assert.ok(grant?.kind === 'client');
    assert.deepEqual(grant.policy.endpoints, ['token']);
    assert.deepEqual(grant.policy.identities, [{ kind: 'system' }]);
    assert.ok(
      state.clients.every(({ plan }) => plan.kind === 'wire' && plan.namespace.containerId === 'owner'),
    );
  });

  it('refuses a namespace that an unlabelled container shares, unless that is allowed', () => {
    const containers = [
      container('pause', { addresses: ['10.0.0.2'] }),
      container('client', { labels: CLIENT, networkMode: 'container:pause' }),
    ];
    const refused = desiredOf(containers);
    assert.match(reasonOf(refused, 'client'), /"name of pause".*MSI_MONITOR_UNLABELLED_SHARERS/);
    assert.equal(refused.callers.get('10.0.0.2')?.grant.kind, 'refused');
    const ignored = desiredOf(containers, { unlabelledSharers: 'ignore', containerOs: 'auto' });
    assert.equal(ignored.callers.get('10.0.0.2')?.grant.kind, 'client');
  });

  describe('of a container that has joined another one by something else than its id', () => {
    const OWNER = 'abcdef012345'.padEnd(64, '6');

    /** The grant of the owner, a client, that an unlabelled container may have joined. */
    function grantWith(joined: string, changes: Changes = {}): string | undefined {
      const state = desiredOf([
        container(OWNER, { name: 'web', labels: CLIENT, addresses: ['10.0.0.2'] }),
        container('b'.repeat(64), { name: 'other', labels: CLIENT, addresses: ['10.0.0.3'] }),
        container('side', { networkMode: `container:${joined}`, ...changes }),
      ]);
      assert.equal(
        state.strays.length,
        [...state.callers.values()].every(({ grant }) => grant.kind === 'client') ? 1 : 0,
      );
      return state.callers.get('10.0.0.2')?.grant.kind;
    }

    it('finds the one of this name, as the engine does', () => {
      assert.equal(grantWith('web'), 'refused');
      assert.equal(grantWith('/web'), 'refused');
    });

    it('finds the one whose id begins so', () => {
      assert.equal(grantWith(OWNER.slice(0, 12)), 'refused');
    });

    it('takes no short name for the beginning of an id', () => {
      assert.equal(grantWith('abc'), 'client');
    });

    it('takes an id for an id before it takes it for a name', () => {
      assert.equal(grantWith(OWNER, { name: OWNER }), 'refused');
    });

    it('believes the engine, which tells whom it joined at its start, more than a name that may have moved', () => {
      assert.equal(grantWith('renamed', { startedInNetworkOf: OWNER }), 'refused');
      assert.equal(grantWith('other', { startedInNetworkOf: OWNER }), 'refused');
    });

    it('knows nobody by the beginning of two ids', () => {
      const ids = ['7', '8'].map(end => 'abcdef012345'.padEnd(64, end));
      const state = desiredOf([
        ...ids.map((id, at) => container(id, { labels: CLIENT, addresses: [`10.0.0.${at + 2}`] })),
        container('side', { networkMode: 'container:abcdef012345' }),
      ]);
      assert.deepEqual(
        state.strays.map(({ id }) => id),
        ['side'],
      );
    });

    it('gives nothing to a client whose network is that of nobody known, and takes nothing from others', () => {
      const state = desiredOf([
        container(OWNER, { name: 'web', labels: CLIENT, addresses: ['10.0.0.2'] }),
        container('side', { labels: CLIENT, networkMode: 'container:gone' }),
      ]);
      assert.match(reasonOf(state, 'side'), /does not run/);
      assert.deepEqual([...state.callers.keys()], ['10.0.0.2']);
      assert.equal(state.callers.get('10.0.0.2')?.grant.kind, 'client');
    });
  });

  it('refuses what cannot be wired, and says why', () => {
    const state = desiredOf([
      container('both', { labels: { ...CLIENT, [PROXY_LABEL]: '' }, addresses: ['10.0.0.2'] }),
      container('host', { labels: CLIENT, networkMode: 'host' }),
      container('host-sharer', { labels: CLIENT, networkMode: 'container:host' }),
      container('none', { labels: CLIENT, networkMode: 'none', addresses: [''] }),
      container('orphan', { labels: CLIENT, networkMode: 'container:gone' }),
      container('loop', { labels: CLIENT, networkMode: 'container:loop' }),
      container('proxy', { labels: { [PROXY_LABEL]: '' }, addresses: ['10.0.0.9'] }),
      container('in-proxy', { labels: CLIENT, networkMode: 'container:proxy' }),
    ]);
    assert.match(reasonOf(state, 'both'), /both labels/);
    assert.match(reasonOf(state, 'host'), /VM's own network/);
    assert.match(reasonOf(state, 'host-sharer'), /VM's own network/);
    assert.match(reasonOf(state, 'none'), /no network that has addresses/);
    assert.match(reasonOf(state, 'orphan'), /does not run/);
    assert.match(reasonOf(state, 'loop'), /does not run/);
    assert.match(reasonOf(state, 'in-proxy'), /network of the proxy "name of proxy"/);
    assert.equal(state.callers.get('10.0.0.9')?.grant.kind, 'refused');
    assert.ok([...state.callers.values()].every(({ grant }) => grant.kind === 'refused'));
  });

  it('says nothing of the addresses of proxies and of the VM', () => {
    const state = desiredOf([
      container('proxy', { labels: { [PROXY_LABEL]: '' }, addresses: ['10.0.0.9'] }),
      container('agent', { networkMode: 'host', addresses: [''] }),
    ]);
    assert.equal(state.callers.size, 0);
    assert.deepEqual(
      state.proxies.map(({ id }) => id),
      ['proxy'],
    );
  });

  it('gives an address that two namespaces claim to neither', () => {
    const state = desiredOf([
      container('a', { labels: CLIENT, addresses: ['10.0.0.2', '10.1.0.2'] }),
      container('b', { addresses: ['10.0.0.2'] }),
    ]);
    assert.equal(state.callers.get('10.0.0.2')?.grant.kind, 'refused');
    assert.match(reasonOf(state, 'a'), /10\.0\.0\.2/);
    assert.equal(state.callers.get('10.1.0.2')?.grant.kind, 'refused', 'a client is not half refused');
  });

  it('makes nothing of hostile names and labels', () => {
    const name = 'x\n{"level":"error"}\u001b[2J';
    const state = desiredOf([
      container('a', { name, addresses: ['10.0.0.2'] }),
      container('b', { labels: CLIENT, networkMode: 'container:a' }),
      container('c', { labels: { ...CLIENT, [IDENTITY_LABEL]: name }, addresses: ['10.0.0.3'] }),
    ]);
    const texts = [
      reasonOf(state, 'b'),
      reasonOf(state, 'c'),
      ...[...state.callers.values()].map(caller => caller.name),
    ];

    for (const text of texts) assert.doesNotMatch(text, /[\u0000-\u001f]/);
  });

  const ids = ['a', 'b', 'c', 'd', 'e'];
  const anyContainers = fc
    .uniqueArray(fc.constantFrom(...ids), { minLength: 1 })
    .chain(present => fc.tuple(...present.map(anyContainer)));

  function anyContainer(id: string): fc.Arbitrary<ContainerDetails> {
    return (
      fc
        .record({
          labels: fc.dictionary(
            fc.constantFrom(CLIENT_LABEL, PROXY_LABEL, IDENTITY_LABEL, ENDPOINTS_LABEL, '__proto__', 'other'),
            fc.constantFrom('', 'system', 'token', 'nonsense', '*'),
          ),
          networkMode: fc.constantFrom('default', 'host', 'none', ...ids.map(other => `container:${other}`)),
          addresses: fc.uniqueArray(fc.constantFrom('10.0.0.2', '10.0.0.3', '10.0.0.4', ''), {
            maxLength: 2,
          }),
        })
        // On the VM's network there are no addresses of one's own.
        .map(facts => container(id, facts.networkMode === 'host' ? { ...facts, addresses: [] } : facts))
    );
  }

  const anyOptions = fc.record({
    unlabelledSharers: fc.constantFrom('refuse' as const, 'ignore' as const),
    containerOs: fc.constant('auto' as const),
  });

  it('grants nothing to an address unless one namespace alone has it and a client is in that', () => {
    fc.assert(
      fc.property(anyContainers, anyOptions, (containers, options) => {
        fc.pre(!containers.some(({ labels }) => Object.hasOwn(labels, PROXY_LABEL)));
        const state = desiredOf(containers, options);
        for (const { address, containerId, grant } of state.callers.values()) {
          if (grant.kind !== 'client') continue;
          const owners = containers.filter(
            ({ networks, networkMode }) =>
              !networkMode.startsWith('container:') && networks.some(network => network.address === address),
          );
          assert.deepEqual(
            owners.map(({ id }) => id),
            [containerId],
          );
          assert.ok(
            state.clients.some(
              ({ plan }) => plan.kind === 'wire' && plan.namespace.containerId === containerId,
            ),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  it('accounts for every labelled container once, and wires none that is a proxy or on the host’s network', () => {
    fc.assert(
      fc.property(anyContainers, anyOptions, (containers, options) => {
        const state = desiredOf(containers, options);
        const labelled = containers.filter(({ labels }) => Object.hasOwn(labels, CLIENT_LABEL));
        assert.deepEqual(
          state.clients.map(client => client.container.id).sort(),
          labelled.map(({ id }) => id).sort(),
        );
        for (const { container: client, plan } of state.clients) {
          if (plan.kind === 'refuse') assert.notEqual(plan.reason, '');
          else {
            assert.ok(!Object.hasOwn(client.labels, PROXY_LABEL));
            assert.notEqual(client.networkMode, 'host');
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('does not depend on the order in which containers are listed', () => {
    fc.assert(
      fc.property(anyContainers, anyOptions, (containers, options) => {
        const grantsOf = (listed: readonly ContainerDetails[]) =>
          [...desiredOf(listed, options).callers.values()]
            .map(({ address, grant }) => `${address} ${grant.kind}`)
            .sort();
        assert.deepEqual(grantsOf(containers.toReversed()), grantsOf(containers));
      }),
      { numRuns: 500 },
    );
  });

  describe('of Windows containers', () => {
    const namespaceOf = (
      changes: Changes,
      {
        containerOs = 'auto',
        defaultIsolation = 'process',
      }: { containerOs?: 'auto' | 'windows'; defaultIsolation?: string } = {},
    ) => {
      const client = container('client', { labels: CLIENT, addresses: ['172.21.0.2'], ...changes });
      const snapshot = { containers: [client], networks: [], gatewayAddresses: new Map(), defaultIsolation };
      const plan = desiredState(snapshot, { unlabelledSharers: 'refuse', containerOs }).clients[0]?.plan;
      assert.ok(plan?.kind === 'wire');
      return plan.namespace;
    };

    it('takes the platform from the engine, or from the setting', () => {
      assert.equal(namespaceOf({}).platform, 'linux');
      assert.equal(namespaceOf({ platform: 'windows' }).platform, 'windows');
      assert.equal(namespaceOf({}, { containerOs: 'windows' }).platform, 'windows');
    });

    it("takes the engine's isolation where a container names none", () => {
      assert.equal(namespaceOf({ isolation: 'default' }, { defaultIsolation: 'hyperv' }).isolation, 'hyperv');
      assert.equal(namespaceOf({ isolation: '' }, { defaultIsolation: 'hyperv' }).isolation, 'hyperv');
      assert.equal(
        namespaceOf({ isolation: 'process' }, { defaultIsolation: 'hyperv' }).isolation,
        'process',
      );
    });

    it('tells that one is paused', () => {
      assert.equal(namespaceOf({}).paused, false);
      assert.equal(namespaceOf({ state: 'paused' }).paused, true);
    });
  });
});
