import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import {
  IMDS_ADDRESS,
  localCommandRunner,
  silentLogger,
  WIRESERVER_ADDRESS,
  type CommandRunner,
} from '@msi-proxy/shared';
import { createVmRules } from '../../../src/guard/nft-vm-rules.ts';
import type { VmRules, VmRulesWanted } from '../../../src/guard/vm-rules.ts';
import {
  DEFAULT_NETWORK,
  end,
  INTERNAL_NETWORK,
  MiniVm,
  Namespace,
  PROXY_NETWORK,
  USER_NETWORK,
} from './lab/mini-vm.ts';
import { until } from './lab/until.ts';
import { skipUnlessNamespaces } from './lab/requirements.ts';

const PROXY_A = { address: '172.31.250.2', port: 8080 };
const PROXY_B = { address: '172.31.250.3', port: 80 };
const SILENT_ADDRESS = '172.31.250.99';
const PROXY_BRIDGE = { interfaceName: 'br-msi', gateway: '172.31.250.1' };
const ENFORCED = { guard: 'enforce', redirect: true, proxyBridge: PROXY_BRIDGE } as const;
const SERVED: VmRulesWanted = { ...ENFORCED, target: PROXY_A };

const DOCKER_USER_RULE =
  '-A DOCKER-USER -m conntrack --ctstate DNAT --ctorigdst 169.254.169.254 -m comment --comment msi-proxy -j ACCEPT';

describe('The packet rules of a VM', function () {
  this.timeout(60_000);

  let mini: MiniVm | undefined;
  let vm: Namespace;
  let client: Namespace;
  let userClient: Namespace;
  let internalClient: Namespace;
  let proxyNeighbour: Namespace;
  let proxyA: Namespace;
  let proxyB: Namespace;
  let proxyAProcess: ChildProcess;
  let rules: VmRules;
  let untouched: string;

  before(async function () {
    await skipUnlessNamespaces(this);
    mini = await MiniVm.create();
    ({ vm } = mini);
    client = await mini.addContainer(DEFAULT_NETWORK, 2);
    userClient = await mini.addContainer(USER_NETWORK, 2);
    internalClient = await mini.addContainer(INTERNAL_NETWORK, 2);
    proxyNeighbour = await mini.addContainer(PROXY_NETWORK, 9);
    proxyA = await mini.addContainer(PROXY_NETWORK, 2);
    proxyB = await mini.addContainer(PROXY_NETWORK, 3);
    await mini.imds.respond(
      'imds',
      `${IMDS_ADDRESS}:80`,
      `${IMDS_ADDRESS}:8080`,
      `udp:${IMDS_ADDRESS}:5000`,
      `${WIRESERVER_ADDRESS}:80`,
      `${WIRESERVER_ADDRESS}:32526`,
      `${WIRESERVER_ADDRESS}:8080`,
      `udp:${WIRESERVER_ADDRESS}:53`,
    );
    proxyAProcess = await proxyA.respond('a', `0.0.0.0:${PROXY_A.port}`);
    await proxyB.respond('b', `0.0.0.0:${PROXY_B.port}`);
    untouched = await vm.fingerprint();
  });

  after(async () => await mini?.remove());

  beforeEach(() => {
    rules = createVmRules({ runner: vm.runner, logger: silentLogger });
  });

  afterEach(async () => {
    await rules.remove();
    assert.equal(await vm.fingerprint(), untouched, 'something was left behind');
  });

  /** As a proxy that is dead just now: an address that nobody has is given up by the kernel after three seconds. */
  async function stopped(): Promise<VmRules['stopped']> {
    await rules.drift();
    return rules.stopped;
  }

  async function silentProxy(): Promise<{ address: string; port: number }> {
    const { interfaceName } = PROXY_BRIDGE;
    await vm.run(
      'ip',
      'neigh',
      'replace',
      SILENT_ADDRESS,
      'lladdr',
      '02:00:00:00:00:99',
      'dev',
      interfaceName,
    );
    return { address: SILENT_ADDRESS, port: 80 };
  }

  it('are needed: without them a container reaches IMDS itself', async () => {
    const answer = await client.ask(IMDS_ADDRESS);

    assert.deepEqual(answer, { from: 'imds', peer: '10.0.0.4' });
    assert.equal(await client.ping(IMDS_ADDRESS), 'answer');
  });

  for (const bridgeNetfilter of [true, false]) {
    describe(`with bridge-nf-call-iptables ${bridgeNetfilter ? 1 : 0}`, () => {
      before(async function () {
        await mini!.setBridgeNetfilter(bridgeNetfilter).catch((error: unknown) => {
          console.log(`      skipped: ${String(error)}`);
          this.skip();
        });
      });

      it('bring containers of every kind of network to the proxy with their own addresses', async () => {
        await rules.ensure(SERVED);

        assert.deepEqual(await client.ask(IMDS_ADDRESS), { from: 'a', peer: '172.17.0.2' });
        assert.deepEqual(await userClient.ask(IMDS_ADDRESS), { from: 'a', peer: '172.18.0.2' });
        assert.deepEqual(await internalClient.ask(IMDS_ADDRESS), { from: 'a', peer: '172.19.0.2' });
      });

      describe('where the engine drops what comes to a container by another bridge, as since Docker 28.2', () => {
        beforeEach(async () => {
          await vm.run('nft', 'add table ip docker_like');
          await vm.run('nft', 'add chain ip docker_like raw { type filter hook prerouting priority raw; }');
          await vm.run('nft', 'add rule ip docker_like raw ip daddr 172.17.0.2 iifname != docker0 drop');
        });
        afterEach(async () => {
          await vm.run('nft', 'delete table ip docker_like');
        });

        for (const [what, proxyAddresses] of [
          ['known', [PROXY_A.address]],
          ['not known yet', undefined],
        ] as const) {
          it(`bring the answers of proxies to it, whose addresses are ${what}`, async () => {
            await rules.ensure({ ...SERVED, ...(proxyAddresses !== undefined && { proxyAddresses }) });

            assert.deepEqual(await client.ask(IMDS_ADDRESS), { from: 'a', peer: '172.17.0.2' });
          });
        }
      });

      it('refuse containers everything else at IMDS, at once', async () => {
        await rules.ensure(SERVED);

        const tcp = await client.ask(IMDS_ADDRESS, { port: 8080 });
        const udp = await client.ask(IMDS_ADDRESS, { port: 5000, transport: 'udp' });

        assert.deepEqual(tcp, { failure: 'ECONNREFUSED' });
        assert.deepEqual(udp, { failure: 'ECONNREFUSED' });
        assert.equal(await client.ping(IMDS_ADDRESS), 'refused');
      });

      it("refuse containers the proxy's own address", async () => {
        await rules.ensure(SERVED);

        assert.deepEqual(await client.ask(PROXY_A.address, { port: PROXY_A.port }), {
          failure: 'ECONNREFUSED',
        });
      });

      it('drop requests while no proxy serves, and let the waiting one through when one does', async () => {
        await rules.ensure(ENFORCED);
        assert.deepEqual(await client.ask(IMDS_ADDRESS, { timeoutMillis: 500 }), { failure: 'timeout' });

        const waiting = client.ask(IMDS_ADDRESS, { timeoutMillis: 10_000 });
        await untilCounted(vm, 'no proxy: wait', 2);
        await rules.switchTarget(PROXY_B, [PROXY_A.address, PROXY_B.address]);

        assert.deepEqual(await waiting, { from: 'b', peer: '172.17.0.2' });
      });

      it('refuse containers WireServer, and leave them its DNS', async () => {
        await rules.ensure(SERVED);

        for (const port of [80, 32526]) {
          assert.deepEqual(await client.ask(WIRESERVER_ADDRESS, { port }), { failure: 'ECONNREFUSED' });
        }
        const dns = await client.ask(WIRESERVER_ADDRESS, { port: 53, transport: 'udp' });
        assert.deepEqual(dns, { from: 'imds', peer: '10.0.0.4' });
      });
    });
  }

  it('leave the VM itself and the proxy their way to IMDS, and the VM its WireServer', async () => {
    await rules.ensure(SERVED);

    assert.deepEqual(await vm.ask(IMDS_ADDRESS), { from: 'imds', peer: '10.0.0.4' });
    assert.deepEqual(await vm.ask(WIRESERVER_ADDRESS), { from: 'imds', peer: '10.0.0.4' });
    assert.deepEqual(await proxyA.ask(IMDS_ADDRESS), { from: 'imds', peer: '10.0.0.4' });
    assert.deepEqual(await proxyA.ask(WIRESERVER_ADDRESS), { failure: 'ECONNREFUSED' });
  });

  it("refuse IMDS to a container on the proxy's network that is no proxy", async () => {
    await rules.ensure({ ...SERVED, proxyAddresses: [PROXY_A.address, PROXY_B.address] });

    assert.deepEqual(await proxyNeighbour.ask(IMDS_ADDRESS, { timeoutMillis: 500 }), { failure: 'timeout' });
    assert.deepEqual(await proxyNeighbour.ask(IMDS_ADDRESS, { port: 8080 }), { failure: 'ECONNREFUSED' });
    for (const proxy of [proxyA, proxyB]) {
      assert.deepEqual(await proxy.ask(IMDS_ADDRESS), { from: 'imds', peer: '10.0.0.4' });
    }
    assert.deepEqual(await client.ask(IMDS_ADDRESS), { from: 'a', peer: '172.17.0.2' });
  });

  it('send new connections to another proxy after a switch', async () => {
    await rules.ensure(SERVED);

    await rules.switchTarget(PROXY_B, [PROXY_A.address, PROXY_B.address]);

    assert.equal((await client.ask(IMDS_ADDRESS)).from, 'b');
    assert.deepEqual(await rules.drift(), []);
  });

  it('are switched by a program that was started before others changed them', async () => {
    const prepare: CommandRunner['prepare'] = (file, argv) =>
      localCommandRunner.prepare!('nsenter', [`--net=${vm.path}`, '--', file, ...argv]);
    const switched = createVmRules({ runner: { ...vm.runner, prepare }, logger: silentLogger });
    await switched.ensure(SERVED);
    await vm.run('nft', 'add', 'chain', 'ip', 'msi_proxy', 'passing');
    await vm.run('nft', 'delete', 'chain', 'ip', 'msi_proxy', 'passing');

    await switched.switchTarget(PROXY_B, [PROXY_A.address, PROXY_B.address]);

    assert.equal((await client.ask(IMDS_ADDRESS)).from, 'b');
    assert.deepEqual(await switched.drift(), []);
    await switched.remove();
  });

  it('bring a SYN that waits on a dead proxy to the next one, when its flows are forgotten', async () => {
    await rules.ensure({ ...ENFORCED, target: await silentProxy() });
    const waiting = client.ask(IMDS_ADDRESS, { timeoutMillis: 10_000 });
    await untilTracked(vm, SILENT_ADDRESS);

    await rules.switchTarget(PROXY_B, []);

    assert.deepEqual(await waiting, { from: 'b', peer: '172.17.0.2' });
  });

  it('forget the flows to a proxy that was replaced while no monitor ran', async () => {
    await rules.ensure({ ...ENFORCED, target: await silentProxy() });
    const waiting = client.ask(IMDS_ADDRESS, { timeoutMillis: 10_000 });
    await untilTracked(vm, SILENT_ADDRESS);

    const nextMonitor = createVmRules({ runner: vm.runner, logger: silentLogger });
    await nextMonitor.ensure({ ...ENFORCED, target: PROXY_B });

    assert.deepEqual(await waiting, { from: 'b', peer: '172.17.0.2' });
  });

  describe('when somebody takes them away', () => {
    const proxyAddresses = [PROXY_A.address];
    const KNOWN: VmRulesWanted = { ...SERVED, proxyAddresses };
    // Answers to what is forwarded are routed back by the same rules where the filter is on.
    const FLUSHES: readonly [reversePathFilter: number, argv: readonly [string, ...string[]]][] = [
      [0, ['nft', 'delete', 'table', 'ip', 'msi_proxy']],
      [1, ['nft', 'flush', 'table', 'ip', 'msi_proxy']],
      [2, ['nft', 'delete', 'table', 'ip', 'msi_proxy']],
    ];

    for (const [reversePathFilter, [file, ...argv]] of FLUSHES) {
      it(`the routing keeps containers from IMDS and WireServer (${[file, ...argv].join(' ')}, rp_filter ${reversePathFilter})`, async () => {
        for (const scope of ['all', 'eth0', 'docker0', 'br-msi'])
          await vm.run('sysctl', '-q', '-w', `net.ipv4.conf.${scope}.rp_filter=${reversePathFilter}`);
        await rules.ensure(KNOWN);
        await vm.run(file, ...argv);

        const silence = { timeoutMillis: 300 };
        const [asked, neighbour, pinged, wireServer, other, dns, proxied, own, ownWireServer] =
          await Promise.all([
            client.ask(IMDS_ADDRESS, silence),
            proxyNeighbour.ask(IMDS_ADDRESS, silence),
            client.ping(IMDS_ADDRESS),
            client.ask(WIRESERVER_ADDRESS),
            proxyA.ask(WIRESERVER_ADDRESS, { port: 32526 }),
            client.ask(WIRESERVER_ADDRESS, { port: 53, transport: 'udp', timeoutMillis: 10_000 }),
            proxyA.ask(IMDS_ADDRESS, { timeoutMillis: 10_000 }),
            vm.ask(IMDS_ADDRESS, { timeoutMillis: 10_000 }),
            vm.ask(WIRESERVER_ADDRESS, { timeoutMillis: 10_000 }),
          ]);

        assert.deepEqual([asked, neighbour], [{ failure: 'timeout' }, { failure: 'timeout' }]);
        assert.equal(pinged, 'silence');
        assert.deepEqual([wireServer, other], [{ failure: 'EHOSTUNREACH' }, { failure: 'EHOSTUNREACH' }]);
        assert.deepEqual(
          [dns, proxied, own, ownWireServer].map(({ from }) => from),
          Array(4).fill('imds'),
        );
      });
    }

    it('the way of proxies goes with them, at once', async () => {
      const silence = { timeoutMillis: 300 };
      await rules.ensure(KNOWN);
      assert.deepEqual(await proxyB.ask(IMDS_ADDRESS, silence), { failure: 'timeout' });

      await rules.setProxies([PROXY_A.address, PROXY_B.address]);
      assert.equal((await proxyB.ask(IMDS_ADDRESS)).from, 'imds');
      await rules.setProxies([PROXY_B.address]);

      assert.equal((await proxyB.ask(IMDS_ADDRESS)).from, 'imds');
      assert.deepEqual(await proxyA.ask(IMDS_ADDRESS, silence), { failure: 'timeout' });
      assert.equal((await client.ask(IMDS_ADDRESS)).from, 'a');
      assert.deepEqual(await rules.drift(), []);
    });

    it('a SYN that came meanwhile is served when they are back', async () => {
      await rules.ensure(KNOWN);
      await vm.run('nft', 'delete', 'table', 'ip', 'msi_proxy');
      const waiting = client.ask(IMDS_ADDRESS, { timeoutMillis: 20_000 });
      await untilSent(client, IMDS_ADDRESS);

      assert.equal(await rules.ensure(KNOWN), 'applied');

      assert.deepEqual(await waiting, { from: 'a', peer: '172.17.0.2' });
    });

    it('a monitor that starts keeps the way of proxies in the routing until it knows them', async () => {
      await rules.ensure(KNOWN);
      await vm.run('nft', 'delete', 'table', 'ip', 'msi_proxy');
      const nextMonitor = createVmRules({ runner: vm.runner, logger: silentLogger });

      await nextMonitor.ensure({ guard: 'enforce', redirect: true });
      const way = new RegExp(`from ${PROXY_A.address} to ${IMDS_ADDRESS} iif br-msi goto 49`);
      assert.match(await vm.run('ip', 'rule', 'show'), way);
      await nextMonitor.ensure({ ...KNOWN, proxyAddresses: [PROXY_B.address] });

      assert.equal((await proxyB.ask(IMDS_ADDRESS)).from, 'imds');
      assert.deepEqual(await proxyA.ask(IMDS_ADDRESS, { timeoutMillis: 300 }), { failure: 'timeout' });
      assert.deepEqual(await nextMonitor.drift(), []);
    });

    it("rules of the routing that are lost are put back, and nobody else's are touched", async () => {
      await vm.run('ip', 'rule', 'add', 'priority', '43', 'to', '192.0.2.1', 'lookup', 'main');
      await rules.ensure(KNOWN);
      assert.deepEqual(rules.barrier, { state: 'in-place' });
      for (const priority of ['40', '49'])
        await vm.run('ip', 'rule', 'delete', 'priority', priority, 'protocol', '169');
      await vm.run('ip', 'rule', 'add', 'priority', '45', 'protocol', '169', 'blackhole');

      assert.deepEqual(await rules.drift(), [
        'the routing rule "priority 49 nop" is missing',
        `the routing rule "priority 40 to ${IMDS_ADDRESS} iif lo goto 49" is missing`,
        'the routing rule "priority 45 blackhole" is not wanted',
      ]);
      assert.equal(await rules.ensure(KNOWN), 'repaired');

      assert.deepEqual(await rules.drift(), []);
      assert.equal((await vm.ask(IMDS_ADDRESS)).from, 'imds');
      await rules.remove();
      const left = await vm.run('ip', 'rule', 'show', 'priority', '43');
      assert.match(left, /to 192\.0\.2\.1 lookup main/);
      await vm.run('ip', 'rule', 'delete', 'priority', '43');
    });

    for (const guard of ['audit', 'off'] as const) {
      it(`there is nothing in the routing with the guard in mode ${guard}`, async () => {
        await rules.ensure(KNOWN);

        await rules.ensure({ ...KNOWN, guard });

        assert.equal(rules.barrier, undefined);
        assert.doesNotMatch(await vm.run('ip', 'rule', 'show'), /proto 169/);
        assert.doesNotMatch(await vm.run('nft', 'list', 'table', 'ip', 'msi_proxy'), /mark set/);
      });
    }
  });

  describe('when a monitor starts', () => {
    const unknown: VmRulesWanted = { guard: 'enforce', redirect: true };
    const proxyAddresses = [PROXY_A.address, PROXY_B.address];
    let nextMonitor: VmRules;

    beforeEach(async () => {
      await rules.ensure({ ...SERVED, proxyAddresses });
      nextMonitor = createVmRules({ runner: vm.runner, logger: silentLogger });
    });

    it('stay as they were until it knows the proxies', async () => {
      assert.equal(await nextMonitor.ensure(unknown), 'unchanged');
      assert.deepEqual(nextMonitor.target, PROXY_A);
      assert.equal(await nextMonitor.ensure({ ...ENFORCED, proxyAddresses }), 'unchanged');

      assert.deepEqual(await client.ask(IMDS_ADDRESS), { from: 'a', peer: '172.17.0.2' });
      assert.deepEqual(await nextMonitor.drift(), []);
    });

    for (const [what, before] of Object.entries<Partial<VmRulesWanted>>({
      'there were none': { proxyAddresses: [] },
      'there were none that clients of another method were sent to': { proxyAddresses: [], redirect: false },
      'there were none at the link of clients': {
        proxyAddresses: [],
        redirect: false,
        linkBridge: 'br-msi-link',
      },
      'nothing was guarded': { proxyAddresses, guard: 'off' },
      'all of their network passed': {},
    })) {
      it(`stay as they were until it knows the proxies, also where ${what}`, async () => {
        const { guard, redirect, linkBridge, ...others }: VmRulesWanted = { ...ENFORCED, ...before };
        const known = { guard, redirect, ...(linkBridge !== undefined && { linkBridge }) };
        await rules.remove();
        await createVmRules({ runner: vm.runner, logger: silentLogger }).ensure({ ...known, ...others });
        assert.equal(await nextMonitor.ensure(known), 'unchanged');
        assert.deepEqual(await nextMonitor.drift(), []);
      });
    }

    it('keep others on the network of the proxies from IMDS where there was no proxy', async () => {
      await rules.ensure({ ...ENFORCED, proxyAddresses: [] });
      await nextMonitor.ensure(unknown);
      assert.deepEqual(await proxyNeighbour.ask(IMDS_ADDRESS, { port: 8080 }), { failure: 'ECONNREFUSED' });
    });

    it('keep the connections to the proxy that it finds serving', async () => {
      await client.hold(IMDS_ADDRESS);
      await untilTracked(vm, PROXY_A.address);
      await nextMonitor.ensure(unknown);
      await nextMonitor.ensure({ ...ENFORCED, proxyAddresses });

      await nextMonitor.switchTarget(PROXY_A, []);

      // What the proxy sends on a connection that the kernel has forgotten never comes to the client.
      assert.ok(await isTracked(vm, PROXY_A.address));
    });

    it('let requests wait when the last target is no proxy any more', async () => {
      await nextMonitor.ensure(unknown);

      await nextMonitor.ensure({ ...ENFORCED, proxyAddresses: [PROXY_B.address] });

      assert.equal(nextMonitor.target, undefined);
      assert.deepEqual(await client.ask(IMDS_ADDRESS, { timeoutMillis: 500 }), { failure: 'timeout' });
      // Also when it comes back: it has to be chosen again.
      await nextMonitor.ensure({ ...ENFORCED, proxyAddresses });
      assert.equal(nextMonitor.target, undefined);
    });

    it('do not come back once it has said that no proxy serves', async () => {
      await nextMonitor.ensure(unknown);

      await nextMonitor.switchTarget(undefined, [PROXY_A.address, PROXY_B.address]);
      await nextMonitor.ensure({ ...ENFORCED, proxyAddresses });

      assert.deepEqual(await client.ask(IMDS_ADDRESS, { timeoutMillis: 500 }), { failure: 'timeout' });
    });
  });

  describe('with a stand-in', () => {
    const standIn = { address: PROXY_BRIDGE.gateway, port: 9181 };
    const WAITING: VmRulesWanted = { ...ENFORCED, proxyAddresses: [PROXY_A.address], standIn };
    let listener: ChildProcess;

    before(async () => {
      listener = await vm.respond('stand-in', `${standIn.address}:${standIn.port}`);
    });
    after(async () => await end(listener));

    /** Asks proxy A from the VM, as the monitor does for a container. */
    async function askFromVm(localPort: number): Promise<unknown> {
      const url = `http://${PROXY_A.address}:${PROXY_A.port}/`;
      const ports = ['--interface', standIn.address, '--local-port', String(localPort)];
      return JSON.parse(await vm.run('curl', '--silent', '--max-time', '2', ...ports, url));
    }

    for (const guard of ['enforce', 'audit', 'off'] as const) {
      it(`send requests to it while there is no proxy, with the guard in mode ${guard}`, async () => {
        await rules.ensure({ ...WAITING, guard });

        assert.deepEqual(await client.ask(IMDS_ADDRESS), { from: 'stand-in', peer: '172.17.0.2' });
        assert.deepEqual(await internalClient.ask(IMDS_ADDRESS), { from: 'stand-in', peer: '172.19.0.2' });
        assert.deepEqual(await client.ask(standIn.address, { port: standIn.port }), {
          failure: 'ECONNREFUSED',
        });
        assert.deepEqual(await rules.drift(), []);
      });
    }

    for (const redirect of [true, false]) {
      it(`let proxies ask there, and not their neighbours, ${redirect ? 'with' : 'without'} the redirect`, async () => {
        await rules.ensure({ ...WAITING, redirect });

        const { port } = standIn;
        assert.equal((await proxyA.ask(standIn.address, { port })).from, 'stand-in');
        for (const other of [proxyB, proxyNeighbour, client])
          assert.deepEqual(await other.ask(standIn.address, { port }), { failure: 'ECONNREFUSED' });
        assert.deepEqual(await rules.drift(), []);
      });
    }

    it('go to a proxy and back', async () => {
      await rules.ensure(WAITING);

      await rules.switchTarget(PROXY_A, [PROXY_A.address, PROXY_B.address]);
      assert.equal((await client.ask(IMDS_ADDRESS)).from, 'a');
      await rules.switchTarget(undefined, []);

      assert.equal((await client.ask(IMDS_ADDRESS)).from, 'stand-in');
      assert.equal(rules.target, undefined);
      assert.deepEqual(await rules.drift(), []);
    });

    it('keep its connections when a proxy appears', async () => {
      await rules.ensure(WAITING);
      const held = await client.hold(IMDS_ADDRESS);

      await rules.ensure({ ...WAITING, proxyAddresses: [PROXY_A.address, PROXY_B.address] });
      await rules.switchTarget(PROXY_A, []);

      assert.equal(await held.request(), 'HTTP/1.1 200 OK');
    });

    it('give its connections to the proxy the address of the container that it asks for', async () => {
      await rules.ensure({ ...WAITING, target: PROXY_A });
      const seen: unknown[] = [];

      await rules.lendSources([{ port: 20_001, address: client.address }], async () => {
        seen.push(await askFromVm(20_001), await askFromVm(20_002));
      });

      assert.deepEqual(seen, [
        { from: 'a', peer: client.address },
        { from: 'a', peer: standIn.address },
      ]);
      assert.deepEqual(await rules.drift(), []);
    });

    it('lend no address to a container', async () => {
      await rules.ensure({ ...WAITING, guard: 'off', target: PROXY_A });
      const seen: unknown[] = [];
      const ask = async (container: Namespace, address: string) =>
        JSON.parse(
          await container.run('curl', '--silent', '--max-time', '2', '--local-port', '20001', address),
        ) as unknown;

      await rules.lendSources([{ port: 20_001, address: userClient.address }], async () => {
        seen.push(await ask(client, `http://${IMDS_ADDRESS}/`));
        seen.push(await ask(proxyNeighbour, `http://${PROXY_A.address}:${PROXY_A.port}/`));
      });

      assert.deepEqual(seen, [
        { from: 'a', peer: client.address },
        { from: 'a', peer: proxyNeighbour.address },
      ]);
    });

    it('stay with it when a monitor starts, until it knows the proxies', async () => {
      await rules.ensure(WAITING);
      const nextMonitor = createVmRules({ runner: vm.runner, logger: silentLogger });

      assert.equal(await nextMonitor.ensure({ guard: 'enforce', redirect: true }), 'unchanged');

      assert.equal(nextMonitor.target, undefined);
      assert.equal((await client.ask(IMDS_ADDRESS)).from, 'stand-in');
      assert.equal(await nextMonitor.ensure(WAITING), 'unchanged');
    });

    it('let requests wait where nothing listens any more', async () => {
      await rules.ensure({ ...WAITING, standIn: { ...standIn, port: 9182 } });

      assert.deepEqual(await client.ask(IMDS_ADDRESS, { timeoutMillis: 500 }), { failure: 'timeout' });
      const waiting = client.ask(IMDS_ADDRESS, { timeoutMillis: 10_000 });
      const late = await vm.respond('late', `${standIn.address}:9182`);
      assert.deepEqual(await waiting, { from: 'late', peer: '172.17.0.2' });
      await end(late);
    });
  });

  it('guard before there is a proxy network', async () => {
    await rules.ensure({ guard: 'enforce', redirect: true });

    assert.deepEqual(await client.ask(IMDS_ADDRESS, { timeoutMillis: 500 }), { failure: 'timeout' });
  });

  it('only guard where another method redirects', async () => {
    await rules.ensure({ ...SERVED, redirect: false });

    assert.deepEqual(await client.ask(IMDS_ADDRESS, { timeoutMillis: 500 }), { failure: 'timeout' });
    assert.ok(!(await vm.run('iptables', '-S', 'DOCKER-USER')).includes('msi-proxy'));
    assert.deepEqual(await rules.drift(), []);
  });

  it('count and pass what the guard would refuse, in audit mode', async () => {
    await rules.ensure({ ...SERVED, guard: 'audit' });

    assert.equal((await client.ask(IMDS_ADDRESS, { port: 8080 })).from, 'imds');
    assert.equal((await client.ask(WIRESERVER_ADDRESS)).from, 'imds');
    assert.equal((await client.ask(IMDS_ADDRESS)).from, 'a');
    await untilCounted(vm, 'anything else at IMDS', 1);
  });

  it('leave containers their direct way that audit must not stop, and count them by address', async () => {
    await rules.ensure({ ...SERVED, guard: 'audit', bystanders: [client.address] });

    assert.equal((await client.ask(IMDS_ADDRESS)).from, 'imds');
    assert.equal((await userClient.ask(IMDS_ADDRESS)).from, 'a');
    assert.deepEqual([...(await stopped())], [[client.address, 1]]);
    await rules.ensure({ ...SERVED, guard: 'audit', bystanders: [userClient.address] });
    assert.equal((await client.ask(IMDS_ADDRESS)).from, 'a');
    assert.equal((await userClient.ask(IMDS_ADDRESS)).from, 'imds');
    assert.deepEqual(await rules.drift(), []);
  });

  it('count by address who was stopped, and go on refusing when no address more can be counted', async () => {
    await rules.ensure(SERVED);
    await client.ask(IMDS_ADDRESS, { port: 8080 });
    await client.ask(WIRESERVER_ADDRESS);
    await userClient.ask(PROXY_A.address, { port: PROXY_A.port });

    assert.deepEqual(Object.fromEntries(await stopped()), {
      [client.address]: 2,
      [userClient.address]: 1,
    });
    assert.deepEqual(await rules.drift(), []);

    const addresses = Array.from({ length: 4096 }, (_, at) => `10.9.${at >> 8}.${at & 255}`);
    await vm.run('nft', 'flush', 'set', 'ip', 'msi_proxy', 'stopped');
    await vm.run('nft', `add element ip msi_proxy stopped { ${addresses.join(', ')} }`);
    assert.deepEqual(await client.ask(IMDS_ADDRESS, { port: 8080 }), { failure: 'ECONNREFUSED' });
    assert.equal((await stopped()).has(client.address), false);
  });

  it('forward no source route, which would name IMDS only after they have looked', async () => {
    const direct = ['net.ipv4.conf.all.accept_source_route=1', 'net.ipv4.conf.docker0.accept_source_route=1'];
    await vm.run('sysctl', '-q', '-w', ...direct);
    await mini!.imds.run('sysctl', '-q', '-w', 'net.ipv4.conf.all.accept_source_route=1');
    const arrived = async () => {
      await mini!.imds.run('nft', 'reset', 'counter', 'ip', 'probe', 'arrived');
      for (const kind of ['loose', 'strict']) await client.sendSourceRouted(kind, '172.17.0.1', IMDS_ADDRESS);
      const listing = await mini!.imds.run('nft', 'list', 'counter', 'ip', 'probe', 'arrived');
      return Number(/packets (\d+)/.exec(listing)?.[1]);
    };
    await mini!.imds.run('nft', 'add table ip probe { counter arrived { } ; }');
    await mini!.imds.run(
      'nft',
      `add chain ip probe in { type filter hook input priority 0 ; } ; add rule ip probe in ip daddr ${IMDS_ADDRESS} counter name arrived`,
    );
    try {
      assert.notEqual(await arrived(), 0, 'without the rules they get there');
      await rules.ensure(SERVED);
      assert.equal(await arrived(), 0);
    } finally {
      await mini!.imds.run('nft', 'delete', 'table', 'ip', 'probe');
      await vm.run('sysctl', '-q', '-w', ...direct.map(setting => setting.replace(/1$/, '0')));
    }
  });

  it('redirect without guarding when the guard is off', async () => {
    await rules.ensure({ ...SERVED, guard: 'off' });

    assert.equal((await client.ask(IMDS_ADDRESS)).from, 'a');
    assert.equal((await client.ask(IMDS_ADDRESS, { port: 8080 })).from, 'imds');
  });

  it('reset a connection that a container opened directly before they were there', async () => {
    const connection = await client.hold(IMDS_ADDRESS);

    await rules.ensure(SERVED);

    assert.equal(await connection.request(), 'ECONNRESET');
  });

  describe('when ensured again', () => {
    it('are left alone, by this monitor and by the next one', async () => {
      assert.equal(await rules.ensure(SERVED), 'applied');
      const listing = await vm.run('nft', '-a', 'list', 'table', 'ip', 'msi_proxy');

      assert.equal(await rules.ensure(SERVED), 'unchanged');

      assert.equal(await vm.run('nft', '-a', 'list', 'table', 'ip', 'msi_proxy'), listing);
      const nextMonitor = createVmRules({ runner: vm.runner, logger: silentLogger });
      assert.equal(await nextMonitor.ensure(SERVED), 'unchanged');
    });

    afterEach(async () => {
      await vm.run('iptables', '-F', 'DOCKER-USER');
      await vm.run('iptables', '-A', 'DOCKER-USER', '-j', 'RETURN');
    });

    const damages: { damage: string; argv: string[]; drift: RegExp }[] = [
      {
        damage: 'a flushed chain',
        argv: ['nft', 'flush', 'chain', 'ip', 'msi_proxy', 'guard'],
        drift: /the rule "anything else at IMDS" of chain guard is missing/,
      },
      {
        damage: 'a flushed ruleset table',
        argv: ['nft', 'delete', 'table', 'ip', 'msi_proxy'],
        drift: /the table ip msi_proxy is missing/,
      },
      {
        damage: 'a rule in front of ours',
        argv: ['nft', 'insert', 'rule', 'ip', 'msi_proxy', 'guard', 'accept', 'comment', '"open"'],
        drift: /chain guard has a rule that is not ours \("open"\)/,
      },
      {
        damage: 'another target',
        argv: ['nft', 'flush', 'map', 'ip', 'msi_proxy', 'target'],
        drift: /the map target has "" instead of "80 : 172.31.250.2 . 8080"/,
      },
      {
        damage: 'a RETURN above the rule in DOCKER-USER',
        argv: ['iptables', '-I', 'DOCKER-USER', '-j', 'RETURN'],
        drift: /is not the first one/,
      },
      {
        damage: 'a flushed DOCKER-USER',
        argv: ['iptables', '-F', 'DOCKER-USER'],
        drift: /DOCKER-USER: the rule "msi-proxy" is missing/,
      },
      {
        damage: 'a doubled rule in DOCKER-USER',
        argv: ['iptables', ...DOCKER_USER_RULE.split(' ')],
        drift: /is there 2 times/,
      },
    ];
    for (const { damage, argv, drift } of damages) {
      it(`repair ${damage}, and tell of it before`, async () => {
        await rules.ensure(SERVED);
        assert.deepEqual(await rules.drift(), []);
        await vm.run(...(argv as [string, ...string[]]));

        const told = await rules.drift();
        const result = await rules.ensure(SERVED);

        assert.match(told.join('\n'), drift);
        assert.notEqual(result, 'unchanged');
        assert.deepEqual(await rules.drift(), []);
        assert.deepEqual(await client.ask(IMDS_ADDRESS), { from: 'a', peer: '172.17.0.2' });
        const [first, ...others] = await dockerUserRules(vm);
        assert.equal(first, DOCKER_USER_RULE);
        assert.ok(!others.includes(DOCKER_USER_RULE));
      });
    }
  });

  describe('on a VM of another kind', () => {
    let other: Namespace;
    let otherRules: VmRules;

    beforeEach(async () => {
      other = await Namespace.create('other');
      otherRules = createVmRules({ runner: other.runner, logger: silentLogger });
    });

    afterEach(async () => await other.remove());

    it('leave a chain DOCKER-USER alone that is not there', async () => {
      const before = await other.fingerprint();

      await otherRules.ensure(SERVED);
      assert.deepEqual(await otherRules.drift(), []);
      await otherRules.remove();

      assert.equal(await other.fingerprint(), before);
    });

    it('find DOCKER-USER in the legacy backend', async () => {
      await other.run('iptables-legacy', '-N', 'DOCKER-USER');
      const before = await other.fingerprint();

      await otherRules.ensure(SERVED);

      assert.ok((await other.run('iptables-legacy', '-S', 'DOCKER-USER')).includes(DOCKER_USER_RULE));
      await otherRules.remove();
      assert.equal(await other.fingerprint(), before);
    });
  });

  it('touch no container', async () => {
    const before = await Promise.all([client, userClient, proxyA].map(one => one.fingerprint()));

    await rules.ensure(SERVED);
    await client.ask(IMDS_ADDRESS);

    const after = await Promise.all([client, userClient, proxyA].map(one => one.fingerprint()));
    assert.deepEqual(after, before);
  });

  it('serve on when the proxy that died is replaced at the same address', async () => {
    await rules.ensure(SERVED);
    await client.ask(IMDS_ADDRESS);
    await end(proxyAProcess);
    proxyAProcess = await proxyA.respond('a', `0.0.0.0:${PROXY_A.port}`);

    await rules.switchTarget(PROXY_A, []);

    assert.equal((await client.ask(IMDS_ADDRESS)).from, 'a');
  });
});

async function dockerUserRules(vm: Namespace): Promise<string[]> {
  const [, ...rules] = (await vm.run('iptables', '-S', 'DOCKER-USER')).split('\n');
  return rules;
}

/** Until the guard's rule with this comment has seen so many packets. */
async function untilCounted(vm: Namespace, comment: string, packets: number): Promise<void> {
  await until(`${packets} packets of "${comment}"`, async () => {
    const listing = await vm.run('nft', 'list', 'table', 'ip', 'msi_proxy');
    const rule = listing.split('\n').find(line => line.includes(`comment "${comment}"`));
    return Number(/counter packets (\d+)/.exec(rule ?? '')?.[1]) >= packets;
  });
}

/** Until a connection waits for its answer from the address. */
async function untilSent(from: Namespace, address: string): Promise<void> {
  await until('a SYN on its way', async () =>
    (await from.run('ss', '-tn', 'state', 'syn-sent')).includes(address),
  );
}

/** Until a connection that was sent to the address is known to the kernel. */
async function untilTracked(vm: Namespace, address: string): Promise<void> {
  await until('a tracked connection', async () => await isTracked(vm, address));
}

async function isTracked(vm: Namespace, address: string): Promise<boolean> {
  const established = await vm.run('conntrack', '-L', '-p', 'tcp');
  return established
    .split('\n')
    .some(line => line.includes(`src=${address} `) && !line.includes('TIME_WAIT'));
}
