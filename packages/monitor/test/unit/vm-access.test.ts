import assert from 'node:assert/strict';
import { missingVmAccess } from '../../src/vm-access.ts';

const ALL_RIGHTS = 'Name:\tnode\nCapEff:\t000001ffffffffff\n';
const DOCKER_DEFAULT_RIGHTS = 'Name:\tnode\nCapEff:\t00000000a80425fb\n';
const WITH_NET_ADMIN = 'Name:\tnode\nCapEff:\t00000000a80435fb\n';
const HEAD = 'Inter-|   Receive\n face |bytes\n    lo: 0 0\n';

const ON_NETWORK_OF_ETH0 = {
  '/proc/self/status': WITH_NET_ADMIN,
  '/.dockerenv': '',
  '/proc/self/net/dev': `${HEAD}  eth0: 0 0\n`,
};

function missing(files: Readonly<Record<string, string>>): string | undefined {
  return missingVmAccess(path => files[path]);
}

describe('missingVmAccess', () => {
  const cases: [string, Record<string, string>, RegExp | undefined][] = [
    [
      'a process of root on the VM',
      { '/proc/self/status': ALL_RIGHTS, '/proc/self/net/dev': HEAD },
      undefined,
    ],
    [
      'a container on the network of the VM with NET_ADMIN',
      {
        '/proc/self/status': WITH_NET_ADMIN,
        '/.dockerenv': '',
        '/proc/self/net/dev': `${HEAD} docker0: 0 0\n`,
      },
      undefined,
    ],
    ['a container with the usual rights', { '/proc/self/status': DOCKER_DEFAULT_RIGHTS }, /NET_ADMIN/],
    ['a container with NET_ADMIN on a network of its own', ON_NETWORK_OF_ETH0, /not on the VM's own network/],
    [
      'a container on the network of a VM whose engine makes no bridge of its own',
      { ...ON_NETWORK_OF_ETH0, '/sys/class/net/eth0/device/uevent': 'DRIVER=hv_netvsc\n' },
      undefined,
    ],
    [
      'a container on the network of a VM whose bridges have names of their own',
      { ...ON_NETWORK_OF_ETH0, '/sys/class/net/eth0/bridge/bridge_id': '8000.0242ac110001\n' },
      undefined,
    ],
    [
      'a container that sees an interface of another network only in /sys',
      { ...ON_NETWORK_OF_ETH0, '/sys/class/net/eth1/device/uevent': 'DRIVER=hv_netvsc\n' },
      /not on the VM's own network/,
    ],
    ['a machine without /proc', {}, undefined],
  ];
  for (const [who, files, expected] of cases) {
    it(`tells ${expected === undefined ? 'nothing' : 'what is missing'} for ${who}`, () => {
      const reason = missing(files);
      if (expected === undefined) assert.equal(reason, undefined);
      else assert.match(reason ?? '', expected);
    });
  }
});
