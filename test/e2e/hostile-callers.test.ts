import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { instancePath, PYTHON_IMAGE, tokenPath, waitUntil } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN_PATH = tokenPath('https://vault.azure.net');
const TOKEN = { path: TOKEN_PATH, timeoutSeconds: 3 };
const NEIGHBOUR = readFileSync(new URL('support/attacks/neighbour.py', import.meta.url), 'utf8');
const VICTIM = '10.66.0.10';
const VICTIM_MAC = '02:42:0a:42:00:0a';

describe('callers that pretend', function () {
  this.timeout(120_000);
  let scenario: Scenario;
  let proxyAddress: string;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.docker('network', 'create', '--subnet', '10.66.0.0/24', 'shared');
    await scenario.startMonitor();
    await scenario.startProxy();
    const { proxies } = await scenario.untilServing();
    proxyAddress = proxies[0]?.address ?? '';
    // Docker's default rights, which include NET_RAW.
    await scenario.startContainer({ name: 'neighbour', network: 'shared', image: PYTHON_IMAGE });
    await scenario.startContainer({ name: 'stranger', image: PYTHON_IMAGE });
    await scenario.startContainer({
      name: 'without-raw',
      network: 'shared',
      image: PYTHON_IMAGE,
      extra: ['--cap-drop', 'NET_RAW'],
    });
    // More rights than it should have: addresses, routes and packet rules of its own.
    await scenario.startContainer({
      name: 'net-admin',
      network: 'shared',
      extra: ['--cap-add', 'NET_ADMIN'],
    });
    await scenario.startContainer({ name: 'far-net-admin', extra: ['--cap-add', 'NET_ADMIN'] });
    await startVictim();
  });
  after(() => scenario[Symbol.asyncDispose]());
  beforeEach(() => scenario.vm.imds.forgetArrivals());

  async function startVictim(): Promise<void> {
    await scenario.startClient({ name: 'victim', network: 'shared', extra: ['--ip', VICTIM] });
    await scenario.untilWired('victim');
    assert.equal((await scenario.request('victim', TOKEN)).status, 200);
  }

  async function within(container: string, ...argv: string[]): Promise<void> {
    await scenario.docker('exec', container, ...argv);
  }

  /** Asks for a token, and for metadata that is never cached. */
  async function getsNothing(container: string, extra: readonly string[] = []): Promise<void> {
    for (const path of [TOKEN_PATH, instancePath('compute/vmId')]) {
      const { status, body } = await scenario.request(container, { path, timeoutSeconds: 3, extra });
      assert.notEqual(status, 200, body);
    }
    const { connections } = await scenario.vm.imds.arrivals();
    assert.deepEqual(connections, []);
  }

  async function pretend(container: string, method: 'arp' | 'mac' | 'blind'): Promise<string> {
    const route = await scenario.docker('exec', container, 'ip', 'route', 'show', 'default');
    const gateway = /via (\S+)/.exec(route)?.[1] ?? '';
    const argv = ['exec', '--interactive', container, 'python3', '-'];
    const { stdout, stderr } = await scenario.vm.engine.run(
      [...argv, method, gateway, VICTIM, VICTIM_MAC, TOKEN_PATH],
      { stdin: NEIGHBOUR },
    );
    return stdout === '' ? stderr : (JSON.parse(stdout) as string);
  }

  describe("at the proxy's own address", () => {
    it('get nothing on other networks, labelled or not', async () => {
      for (const container of ['neighbour', 'stranger', 'victim']) {
        const run = await scenario.vm.engine.run([
          'exec',
          container,
          'curl',
          '--silent',
          '--show-error',
          '--max-time',
          '3',
          `http://${proxyAddress}${TOKEN_PATH}`,
        ]);
        assert.equal(run.exitCode, 7, `${container}: ${run.stdout} ${run.stderr}`);
      }
    });

    it('get nothing by a DNAT of their own', async () => {
      const rule = `ip daddr 169.254.169.254 tcp dport 80 dnat to ${proxyAddress}:80`;
      await within(
        'net-admin',
        'nft',
        `add table ip own ; add chain ip own out { type nat hook output priority -100 ; } ; add rule ip own out ${rule}`,
      );
      await getsNothing('net-admin');
      await within('net-admin', 'nft', 'delete', 'table', 'ip', 'own');
    });

    it('are nobody on the network of the proxies', async () => {
      await scenario.startContainer({ name: 'intruder', network: 'msi-proxy-net' });
      await getsNothing('intruder', ['--connect-to', `::${proxyAddress}:80`]);
      await getsNothing('intruder');
    });
  });

  describe('with the address of a client that is there', () => {
    it('get no answer when they are on another bridge', async () => {
      await within('far-net-admin', 'ip', 'address', 'add', `${VICTIM}/32`, 'dev', 'lo');
      await getsNothing('far-net-admin', ['--interface', VICTIM]);
      assert.equal(await pretend('stranger', 'blind'), 'no answer');
      const { connections } = await scenario.vm.imds.arrivals();
      assert.deepEqual(connections, []);
    });

    it('get no answer on the same bridge without taking its place there', async () => {
      assert.equal(await pretend('neighbour', 'blind'), 'no answer');
    });

    for (const method of ['arp', 'mac'] as const) {
      it(`cannot take its place by ${method} without NET_RAW`, async () => {
        assert.equal(await pretend('without-raw', method), 'not permitted');
      });

      it(`can take its place by ${method} with NET_RAW on the same bridge (docs/security.md says so)`, async () => {
        assert.match(await pretend('neighbour', method), /^HTTP\/1.1 200/);
      });

      it(`cannot take its place by ${method} from a network of its own`, async () => {
        assert.equal(await pretend('stranger', method), 'no answer');
      });
    }

    it('are themselves with its MAC address', async () => {
      await within('net-admin', 'ip', 'link', 'set', 'eth0', 'address', VICTIM_MAC);
      await getsNothing('net-admin');
      await within('net-admin', 'ip', 'link', 'set', 'eth0', 'address', '02:42:0a:42:00:63');
    });

    it('leave the client served when they are gone', async () => {
      // What the VM was told about its neighbour holds until it asks again, by default within a minute.
      await waitUntil(async () => (await scenario.request('victim', TOKEN)).status === 200, {
        what: 'the client to be served again',
        timeoutMillis: 90_000,
      });
    });
  });

  describe('with the address of a client that has left', () => {
    before(() => scenario.removeContainers('victim'));

    it('get nothing by their own network stack', async () => {
      await within('net-admin', 'ip', 'address', 'add', `${VICTIM}/24`, 'dev', 'eth0');
      await getsNothing('net-admin', ['--interface', VICTIM]);
      await within('net-admin', 'ip', 'address', 'del', `${VICTIM}/24`, 'dev', 'eth0');
    });

    it('get nothing by hand', async () => {
      for (const method of ['arp', 'mac'] as const) {
        assert.doesNotMatch(await pretend('neighbour', method), /^HTTP\/1.1 200/, method);
      }
      assert.deepEqual((await scenario.vm.imds.arrivals()).connections, []);
    });

    it('get nothing of a client that has stopped and comes back', async () => {
      await startVictim();
      await scenario.docker('stop', '--time', '0', 'victim');
      await scenario.vm.imds.forgetArrivals();
      await within('net-admin', 'ip', 'address', 'add', `${VICTIM}/24`, 'dev', 'eth0');
      await getsNothing('net-admin', ['--interface', VICTIM]);
      await within('net-admin', 'ip', 'address', 'del', `${VICTIM}/24`, 'dev', 'eth0');
      await scenario.docker('start', 'victim');
      await scenario.untilWired('victim');
      assert.equal((await scenario.request('victim', { ...TOKEN, timeoutSeconds: 10 })).status, 200);
    });
  });
});
