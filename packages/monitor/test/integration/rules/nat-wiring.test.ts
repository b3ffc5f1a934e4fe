import assert from 'node:assert/strict';
import { type CommandRunner, IMDS_ADDRESS, localCommandRunner, silentLogger } from '@msi-proxy/shared';
import { createVmRules } from '../../../src/guard/nft-vm-rules.ts';
import { createClientNamespaces } from '../../../src/wiring/client-namespace.ts';
import { createExecInContainer } from '../../../src/wiring/exec-in-container.ts';
import { createNamespaceProbe } from '../../../src/wiring/namespace-probe.ts';
import { createNatWiring } from '../../../src/wiring/nat.ts';
import type { ProxyTarget, WirableClient, WiringMethod } from '../../../src/wiring/wiring-method.ts';
import {
  DEFAULT_NETWORK,
  INTERNAL_NETWORK,
  MiniVm,
  nodeArgv,
  PROXY_NETWORK,
  USER_NETWORK,
  Namespace,
} from './lab/mini-vm.ts';
import { until } from './lab/until.ts';
import { skipUnlessNamespaces } from './lab/requirements.ts';

const TARGET: ProxyTarget = {
  containerId: 'p'.repeat(64),
  instanceId: 'a',
  port: 8080,
  address: '172.31.250.2',
  addressesByNetwork: {
    'msi-proxy-net': '172.31.250.2',
    bridge: '172.17.0.20',
    user: '172.18.0.20',
    internal: '172.19.0.20',
    lan: '10.77.0.20',
  },
};

describe('Wiring by nat', function () {
  this.timeout(60_000);

  let mini: MiniVm | undefined;
  let proxy: Namespace;
  let nat: WiringMethod;
  let container: Namespace;
  let client: WirableClient;
  let untouched: string;

  before(async function () {
    await skipUnlessNamespaces(this);
    mini = await MiniVm.create();
    await mini.imds.respond('imds', `${IMDS_ADDRESS}:80`);
    proxy = await mini.addContainer(PROXY_NETWORK, 2);
    for (const network of [DEFAULT_NETWORK, USER_NETWORK, INTERNAL_NETWORK]) {
      await mini.attach(proxy, network, 20);
    }
    await mini.attachMacvlan(proxy, 20);
    await proxy.respond('a', '0.0.0.0:8080');
  });

  after(async () => await mini?.remove());

  beforeEach(() => {
    nat = newNatWiring();
  });

  async function use(made: Promise<Namespace>, ...networks: readonly string[]): Promise<void> {
    container = await made;
    client = clientIn(container, networks);
    untouched = await container.fingerprint();
  }

  async function removeAndCompare(): Promise<void> {
    await nat.remove(client);
    assert.equal(await container.fingerprint(), untouched, 'something was left behind');
  }

  describe('of a container on a bridge', () => {
    beforeEach(async () => await use(mini!.addContainer(USER_NETWORK, nextHost()), 'user'));

    afterEach(removeAndCompare);

    it('brings its requests to the proxy with its own address', async () => {
      assert.equal((await container.ask(IMDS_ADDRESS)).from, 'imds');

      await nat.apply(client, TARGET);
      await nat.verify(client, TARGET);

      assert.deepEqual(await container.ask(IMDS_ADDRESS), { from: 'a', peer: container.address });
    });

    it('does nothing where it holds already, also for the next monitor', async () => {
      assert.equal(await nat.apply(client, TARGET), 'applied');
      const listing = await container.run('nft', '-a', 'list', 'ruleset');

      assert.equal(await nat.apply(client, TARGET), 'unchanged');

      assert.equal(await container.run('nft', '-a', 'list', 'ruleset'), listing);
      assert.equal(await newNatWiring().apply(client, TARGET), 'unchanged');
    });

    it('finds and repairs rules that were flushed', async () => {
      await nat.apply(client, TARGET);
      await container.run('nft', 'flush', 'chain', 'ip', 'msi_proxy_client', 'to_proxy');

      await assert.rejects(nat.verify(client, TARGET), {
        code: 'MSI_WIRING_NOT_EFFECTIVE',
        message: /the rule "to the proxy" of chain to_proxy is missing/,
      });
      assert.equal(await nat.apply(client, TARGET), 'repaired');
      await nat.verify(client, TARGET);
    });

    it('follows the proxy to another port', async () => {
      await assert.rejects(nat.apply(client, { ...TARGET, port: 9 }), { message: /Failed to connect/ });
      assert.deepEqual(await container.ask(IMDS_ADDRESS), { failure: 'ECONNREFUSED' });

      assert.equal(await nat.apply(client, TARGET), 'repaired');

      assert.equal((await container.ask(IMDS_ADDRESS)).from, 'a');
    });

    it('does not take an answer of IMDS for one of the proxy', async () => {
      await nat.apply(client, TARGET);
      await container.run('nft', 'add', 'table', 'ip', 'other');
      try {
        await container.run(
          'nft',
          'add chain ip other out { type nat hook output priority -110; };' +
            `add rule ip other out ip daddr ${IMDS_ADDRESS} dnat to ${IMDS_ADDRESS}`,
        );

        await assert.rejects(nat.verify(client, TARGET), {
          code: 'MSI_WIRING_NOT_EFFECTIVE',
          message: /answered not by a proxy \(status 200\)/,
        });
      } finally {
        await container.run('nft', 'delete', 'table', 'ip', 'other');
      }
    });

    it('does not take another proxy for the serving one', async () => {
      await nat.apply(client, TARGET);

      await assert.rejects(nat.verify(client, { ...TARGET, instanceId: 'b' }), {
        message: /answered by another proxy/,
      });
    });

    it('lets a request that the proxy has already go on while it is repaired', async () => {
      const target = { ...TARGET, port: 8081, instanceId: 'slow' };
      const responder = await proxy.respond('slow', '0.0.0.0:8081');
      await nat.apply(client, target);
      responder.kill('SIGSTOP');
      try {
        const waiting = container.ask(IMDS_ADDRESS, { timeoutMillis: 10_000 });
        await untilTracked(container, 'ESTABLISHED');
        await container.run('nft', 'flush', 'chain', 'ip', 'msi_proxy_client', 'own_source');

        await assert.rejects(nat.apply(client, target), { code: 'MSI_WIRING_NOT_EFFECTIVE' });

        responder.kill('SIGCONT');
        assert.equal((await waiting).from, 'slow');
      } finally {
        responder.kill('SIGCONT');
      }
    });

    it('asks the kernel where connections go, and starts no program for it where none goes elsewhere', async () => {
      const { pid } = await container.respond('anybody', '127.0.0.1:8080');
      const withProcess = { ...client, pid: pid! };
      const commands: string[] = [];
      nat = newNatWiring({
        run: (file, argv, options) => {
          commands.push([file, ...argv].join(' '));
          return localCommandRunner.run(file, argv, options);
        },
      });
      const conntrack = () => commands.filter(command => command.includes(' conntrack '));
      await nat.apply(withProcess, { ...TARGET, address: '172.18.0.20' });
      const held = await container.hold(IMDS_ADDRESS);
      await container.run('nft', 'flush', 'chain', 'ip', 'msi_proxy_client', 'own_source');

      assert.equal(await nat.apply(withProcess, TARGET), 'repaired');

      assert.deepEqual(conntrack(), []);
      assert.equal(await held.request(), 'HTTP/1.1 200 OK');
      await nat.redirect!(withProcess, { ...TARGET, port: 9 }, { flushFlows: true });
      assert.deepEqual(conntrack(), [
        `nsenter --net=${container.path} -- conntrack -D -p tcp --orig-dst ${IMDS_ADDRESS} --reply-src 172.18.0.20 --reply-port-src 8080`,
      ]);
    });

    it('serves the request that waited for it, also where connections were tracked before', async () => {
      // As Docker's DNS server has it in user networks.
      await container.run(
        'iptables',
        ...['-t', 'nat', '-A', 'OUTPUT', '-d', '127.0.0.11', '-p', 'tcp', '--dport', '53'],
        ...['-j', 'DNAT', '--to-destination', '127.0.0.11:40000'],
      );
      untouched = await container.fingerprint();
      const guard = createVmRules({ runner: mini!.vm.runner, logger: silentLogger });
      await guard.ensure({ guard: 'enforce', redirect: false });
      try {
        const waiting = container.ask(IMDS_ADDRESS, { timeoutMillis: 10_000 });
        await untilTracked(container);

        await nat.apply(client, TARGET);

        assert.equal((await waiting).from, 'a');
      } finally {
        await guard.remove();
      }
    });
  });

  it('sends requests by the network that is shared with the proxy, from the address there', async () => {
    await use(addOnTwoNetworks(mini!), 'elsewhere', 'user');

    await nat.apply(client, TARGET);

    assert.deepEqual(await container.ask(IMDS_ADDRESS), { from: 'a', peer: '172.18.0.80' });
    await removeAndCompare();
  });

  it('tells when the proxy is on no network of the container', async () => {
    await use(mini!.addContainer(USER_NETWORK, nextHost()), 'elsewhere');

    // curl has two ways to say so.
    const noAnswer = { message: /a request from it failed: Connection time(d out|out)/ };

    await assert.rejects(nat.apply(client, TARGET), noAnswer);
    await assert.rejects(nat.verify(client, TARGET), noAnswer);
    await removeAndCompare();
  });

  describe('of a container without default route', () => {
    beforeEach(async () => await use(addWithoutDefaultRoute(mini!), 'internal'));

    afterEach(removeAndCompare);

    it('adds a route to IMDS and to nothing else', async () => {
      assert.deepEqual(await container.ask(IMDS_ADDRESS), { failure: 'ENETUNREACH' });

      assert.equal(await nat.apply(client, TARGET), 'applied');
      await nat.verify(client, TARGET);

      assert.deepEqual(await container.ask(IMDS_ADDRESS), { from: 'a', peer: container.address });
      assert.deepEqual(await container.ask('10.0.0.1'), { failure: 'ENETUNREACH' });
      assert.equal(await nat.apply(client, TARGET), 'unchanged');
    });

    it('finds and repairs a route that is gone', async () => {
      await nat.apply(client, TARGET);
      await container.run('ip', 'route', 'delete', `${IMDS_ADDRESS}/32`);

      await assert.rejects(nat.verify(client, TARGET), { message: /the route to IMDS is missing/ });
      await nat.apply(client, TARGET);
      await nat.verify(client, TARGET);
    });

    it("leaves another's route alone", async () => {
      await container.run('ip', 'route', 'add', `${IMDS_ADDRESS}/32`, 'dev', 'br-internal-c');
      untouched = await container.fingerprint();

      await nat.apply(client, TARGET);
      await nat.verify(client, TARGET);
    });
  });

  it('serves a container on a macvlan network', async () => {
    await use(mini!.addMacvlanContainer(7), 'lan');

    await nat.apply(client, TARGET);
    await nat.verify(client, TARGET);

    assert.deepEqual(await container.ask(IMDS_ADDRESS), { from: 'a', peer: '10.77.0.7' });
    await removeAndCompare();
  });

  it('tells that a container is gone, and takes its removal for done', async () => {
    const gone = await Namespace.create('gone');
    const goneClient = clientIn(gone, ['user']);
    await gone.remove();

    await assert.rejects(nat.apply(goneClient, TARGET), { code: 'MSI_NAMESPACE_GONE' });
    await nat.remove(goneClient);
  });
});

let hosts = 30;
function nextHost(): number {
  return hosts++;
}

function newNatWiring(runner: CommandRunner = localCommandRunner): WiringMethod {
  return createNatWiring({
    namespaces: createClientNamespaces({
      runner,
      // The containers are namespaces alone: the engine knows of none.
      execInContainer: createExecInContainer({
        inspectContainer: () => Promise.resolve(undefined),
        runExec: () => Promise.reject(new Error('there is no container')),
      }),
    }),
    probe: createNamespaceProbe(nodeArgv('probe-main.ts')),
    logger: silentLogger,
  });
}

function clientIn(container: Namespace, networks: readonly string[]): WirableClient {
  return {
    containerId: 'c'.repeat(64),
    name: 'client',
    startedAt: '2026-01-01T00:00:00Z',
    pid: 0,
    sandboxKey: container.path,
    networks: networks.map(name => ({ name, driver: 'bridge', internal: false, address: '172.18.0.9' })),
    platform: 'linux',
    isolation: '',
    paused: false,
  };
}

/** Its default route leads by the network that is not shared with the proxy. */
async function addOnTwoNetworks(mini: MiniVm): Promise<Namespace> {
  const container = await mini.addContainer(DEFAULT_NETWORK, 80);
  await mini.attach(container, USER_NETWORK, 80);
  return container;
}

async function addWithoutDefaultRoute(mini: MiniVm): Promise<Namespace> {
  const container = await mini.addContainer(INTERNAL_NETWORK, nextHost());
  await container.run('ip', 'route', 'delete', 'default');
  return container;
}

async function untilTracked(container: Namespace, state = 'SYN_SENT'): Promise<void> {
  await until(`a tracked connection, ${state}`, async () => {
    const flows = (await container.run('conntrack', '-L', '-p', 'tcp')).split('\n');
    return flows.some(flow => flow.includes(IMDS_ADDRESS) && flow.includes(state));
  });
}
