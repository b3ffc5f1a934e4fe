import assert from 'node:assert/strict';
import { readContainer, readContainerList, readNetwork } from '../../../src/docker/read-answers.ts';

const ID = 'c'.repeat(64);
const CONTAINER = {
  Id: ID,
  Name: '/web',
  Platform: 'linux',
  State: {
    Status: 'running',
    Running: true,
    Paused: false,
    Pid: 4711,
    StartedAt: '2026-01-01T00:00:00.123456789Z',
  },
  Config: { Image: 'shop/web:1', Labels: { MSIClientContainer: '' } },
  HostConfig: { NetworkMode: 'shop', Privileged: false },
  NetworkSettings: {
    SandboxKey: '/var/run/docker/netns/0123456789ab',
    Networks: {
      shop: { NetworkID: 'n1', IPAddress: '172.18.0.5' },
      joining: { NetworkID: 'n2', IPAddress: '' },
    },
  },
};

describe('readContainer', () => {
  it('reads what the monitor needs', () => {
    const { labels, ...rest } = readContainer(CONTAINER);
    assert.deepEqual(rest, {
      id: ID,
      name: 'web',
      image: 'shop/web:1',
      platform: 'linux',
      state: 'running',
      startedAt: '2026-01-01T00:00:00.123456789Z',
      pid: 4711,
      networkMode: 'shop',
      sandboxKey: '/var/run/docker/netns/0123456789ab',
      networks: [
        { name: 'shop', networkId: 'n1', address: '172.18.0.5' },
        { name: 'joining', networkId: 'n2', address: '' },
      ],
      mayForgePackets: true,
      isolation: '',
    });
    assert.deepEqual(Object.entries(labels), [['MSIClientContainer', '']]);
  });

  it('tells a Windows container and its isolation', () => {
    const HostConfig = { ...CONTAINER.HostConfig, Isolation: 'hyperv' };
    const { platform, isolation } = readContainer({ ...CONTAINER, Platform: 'windows', HostConfig });
    assert.deepEqual([platform, isolation], ['windows', 'hyperv']);
  });

  for (const [HostConfig, mayForgePackets] of [
    [{}, true],
    [{ CapDrop: ['NET_RAW'] }, false],
    [{ CapDrop: ['CAP_NET_RAW'] }, false],
    [{ CapDrop: ['all'] }, false],
    [{ CapDrop: ['ALL'], CapAdd: ['CAP_NET_RAW'] }, true],
    [{ CapAdd: ['ALL'], CapDrop: ['NET_RAW'] }, false],
    [{ CapDrop: ['ALL'], Privileged: true }, true],
    [{ CapAdd: null, CapDrop: null }, true],
  ] as const) {
    it(`tells from ${JSON.stringify(HostConfig)} whether it may forge packets`, () => {
      assert.equal(readContainer({ ...CONTAINER, HostConfig }).mayForgePackets, mayForgePackets);
    });
  }

  it('tells whose network a container joined at its start, whatever name that one had', () => {
    const owner = 'f'.repeat(64);
    const joined = (HostnamePath: string, NetworkMode = 'container:web') =>
      readContainer({ ...CONTAINER, HostConfig: { NetworkMode }, HostnamePath }).startedInNetworkOf;
    assert.equal(joined(`/var/lib/docker/containers/${owner}/hostname`), owner);
    assert.equal(joined(`/var/lib/docker/containers/${ID}/hostname`), undefined, 'its own file');
    assert.equal(joined(`/var/lib/docker/containers/${owner}/hostname`, 'bridge'), undefined);
    assert.equal(joined(''), undefined);
  });

  it('takes no address from the fields that are gone since API 1.52', () => {
    const settings = { ...CONTAINER.NetworkSettings, IPAddress: '10.9.9.9', Networks: {} };
    assert.deepEqual(readContainer({ ...CONTAINER, NetworkSettings: settings }).networks, []);
  });

  for (const [what, answer] of [
    ['nothing', {}],
    ['null', null],
    ['text', 'oops'],
    ['fields of the wrong type', { Id: 1, Name: [], State: 'x', Config: null, NetworkSettings: [] }],
    ['nulls', { State: null, Config: { Labels: null }, NetworkSettings: { Networks: null } }],
  ] as const) {
    it(`reads ${what} as a container that cannot be wired`, () => {
      const { id, state, networks, labels, pid } = readContainer(answer);
      assert.deepEqual([id, state, networks, Object.keys(labels), pid], ['', 'dead', [], [], 0]);
    });
  }

  it('does not take a state that it does not know for one in which a container runs', () => {
    assert.equal(readContainer({ ...CONTAINER, State: { Status: 'hibernating' } }).state, 'dead');
  });

  it('takes no text for an address that is none', () => {
    const Networks = { shop: { NetworkID: 'n1', IPAddress: '10.0.0.1; reboot' } };
    const [network] = readContainer({ ...CONTAINER, NetworkSettings: { Networks } }).networks;
    assert.equal(network?.address, '');
  });
});

describe('readContainerList', () => {
  it('leaves out what has no id', () => {
    assert.deepEqual(
      readContainerList([{ Id: ID, State: 'paused' }, { State: 'running' }, null]).map(({ id }) => id),
      [ID],
    );
  });

  it('reads the name of each, which is not one of those that links give it', () => {
    const [container] = readContainerList([{ Id: ID, State: 'running', Names: ['/shop/db', '/web'] }]);
    assert.equal(container?.name, 'web');
  });

  it('reads the labels, also where the engine tells of none', () => {
    const labels = readContainerList([
      { Id: ID, Labels: { app: 'web' } },
      { Id: ID, Labels: null },
    ]).map(container => Object.entries(container.labels));
    assert.deepEqual(labels, [[['app', 'web']], []]);
  });

  it('reads where each is, and since when there is it', () => {
    const [container] = readContainerList([
      {
        Id: ID,
        Image: 'shop:1',
        Created: 1_767_225_600,
        HostConfig: { NetworkMode: 'container:web' },
        NetworkSettings: { Networks: { shop: { NetworkID: 'n1', IPAddress: '10.0.0.1' } } },
      },
    ]);
    assert.equal(container?.image, 'shop:1');
    assert.equal(container.createdAt, '2026-01-01T00:00:00.000Z');
    assert.equal(container.networkMode, 'container:web');
    assert.deepEqual(container.networks, [{ name: 'shop', networkId: 'n1', address: '10.0.0.1' }]);
  });

  it('reads an answer that is no list as empty', () => {
    assert.deepEqual(readContainerList({ message: 'oops' }), []);
  });
});

describe('readNetwork', () => {
  it('reads what the monitor needs, and the IPv4 pool where there is an IPv6 one too', () => {
    const { options, labels, ...rest } = readNetwork({
      Id: 'n1',
      Name: 'shop',
      Driver: 'bridge',
      Internal: true,
      Options: { 'com.docker.network.bridge.name': 'br-shop' },
      Labels: { owner: 'x' },
      IPAM: {
        Config: [
          { Subnet: 'fd00::/64', Gateway: 'fd00::1' },
          { Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' },
        ],
      },
      Containers: { [ID]: { Name: 'web', IPv4Address: '172.18.0.5/16', IPv6Address: '' } },
    });
    assert.deepEqual(rest, {
      id: 'n1',
      name: 'shop',
      driver: 'bridge',
      internal: true,
      subnet: '172.18.0.0/16',
      gateway: '172.18.0.1',
      containers: { [ID]: { address: '172.18.0.5' } },
    });
    assert.equal(options['com.docker.network.bridge.name'], 'br-shop');
    assert.equal(labels['owner'], 'x');
  });

  it('reads a network without addresses, as `host` and `none` are', () => {
    const { subnet, gateway, containers } = readNetwork({
      Id: 'n',
      Name: 'none',
      Driver: 'null',
      IPAM: { Config: null },
    });
    assert.deepEqual([subnet, gateway, containers], [undefined, undefined, {}]);
  });

  for (const [what, network, expected] of [
    ['the first address', { Driver: 'bridge', IPAM: { Config: [{ Subnet: '10.9.0.0/16' }] } }, '10.9.0.1'],
    [
      'the first address of a subnet written by another of its addresses',
      { Driver: 'bridge', IPAM: { Config: [{ Subnet: '192.168.255.77/26' }] } },
      '192.168.255.65',
    ],
    [
      'not known where containers have a range of their own',
      { Driver: 'bridge', IPAM: { Config: [{ Subnet: '10.9.0.0/16', IPRange: '10.9.4.0/24' }] } },
      undefined,
    ],
    [
      'not known for other drivers',
      { Driver: 'macvlan', IPAM: { Config: [{ Subnet: '10.9.0.0/16' }] } },
      undefined,
    ],
  ] as const) {
    it(`takes the gateway that the engine does not tell as ${what}`, () => {
      assert.equal(readNetwork(network).gateway, expected);
    });
  }
});
