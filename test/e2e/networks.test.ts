import assert from 'node:assert/strict';
import { instancePath, PROXY_NETWORK, tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };

for (const wiring of ['host', 'nat'] as const) {
  describe(`on any network, wired by ${wiring}`, () => {
    let scenario: Scenario;
    const served: string[] = [];

    before(async () => {
      scenario = await Scenario.start({ wiring });
      await scenario.docker('network', 'create', 'user-net');
      await scenario.docker('network', 'create', 'other-net');
      await scenario.docker('network', 'create', '--internal', 'internal-net');
      await scenario.startMonitor();
      // Started with nothing but its label and its capability: the monitor brings it to its network.
      await scenario.startProxy({ network: 'bridge' });
      await scenario.untilServing();
    });
    after(() => scenario[Symbol.asyncDispose]());

    /** Docker 25 and later do not; such clients are wired by `nat` unless told otherwise. */
    async function routesInternalNetworks(): Promise<boolean> {
      return Number(await scenario.docker('version', '--format', '{{.Server.APIVersion}}')) < 1.44;
    }

    async function isServed(client: string): Promise<void> {
      await scenario.untilWired(client);
      const { status, body, failure } = await scenario.request(client, TOKEN);
      assert.equal(status, 200, body + (failure ?? ''));
    }

    it('connects a proxy that was started elsewhere to the network of the proxies', async () => {
      const networks = await scenario.docker(
        'inspect',
        '--format',
        '{{json .NetworkSettings.Networks}}',
        'proxy',
      );
      assert.deepEqual(Object.keys(JSON.parse(networks) as object).includes(PROXY_NETWORK), true);
    });

    for (const network of ['bridge', 'user-net', 'internal-net']) {
      it(`serves a client on ${network}`, async function () {
        if (network === 'internal-net' && wiring === 'host' && !(await routesInternalNetworks())) {
          console.log('      skipped: this engine gives containers on internal networks no default route');
          this.skip();
        }
        await scenario.startClient({ name: `on-${network}`, network });
        await isServed(`on-${network}`);
        if (network !== 'user-net') served.push(`on-${network}`);
      });
    }

    it('serves a client on two networks', async () => {
      await scenario.startClient({ name: 'on-two', network: 'user-net' });
      await scenario.docker('network', 'connect', 'other-net', 'on-two');
      await isServed('on-two');
    });

    it('goes on serving a client that joins and leaves networks', async () => {
      await scenario.docker('network', 'connect', 'other-net', 'on-user-net');
      await isServed('on-user-net');
      await scenario.docker('network', 'disconnect', 'user-net', 'on-user-net');
      await scenario.untilStatus('the client to be known by its new address only', ({ clients }) =>
        clients.some(
          ({ name, state, addresses }) =>
            name === 'on-user-net' && state === 'wired' && addresses.length === 1,
        ),
      );
      await isServed('on-user-net');
    });

    it('gives unlabelled containers on the same networks nothing', async () => {
      for (const network of ['bridge', 'user-net', 'internal-net']) {
        const name = `unlabelled-${network}`;
        await scenario.startContainer({ name, network });
        const answer = await scenario.request(name, { ...TOKEN, timeoutSeconds: 3 });
        assert.notEqual(answer.status, 200, network);
      }
    });

    it('serves on after the proxy was replaced by one on its own network', async () => {
      await scenario.removeContainers('proxy');
      await scenario.startProxy({ name: 'second', network: PROXY_NETWORK });
      await scenario.untilServing('second');
      for (const client of [...served, 'on-two']) await isServed(client);
    });

    it('says why a container on the host network or on none is not wired', async () => {
      await scenario.startClient({ name: 'on-host', network: 'host' });
      await scenario.startClient({ name: 'on-none', network: 'none' });
      const { clients } = await scenario.untilStatus('both to be refused', status =>
        ['on-host', 'on-none'].every(name =>
          status.clients.some(client => client.name === name && client.state === 'refused'),
        ),
      );
      const reasonOf = (name: string) => clients.find(client => client.name === name)?.reason ?? '';
      assert.match(reasonOf('on-host'), /VM's own network/);
      assert.match(reasonOf('on-none'), /no network that has addresses/);
    });

    if (wiring === 'nat') {
      it('serves a client on a macvlan network without a default route', async () => {
        await scenario.vm.exec(['ip', 'link', 'add', 'mvp', 'type', 'veth', 'peer', 'name', 'mvq']);
        await scenario.vm.exec(['ip', 'link', 'set', 'mvp', 'up']);
        await scenario.vm.exec(['ip', 'link', 'set', 'mvq', 'up']);
        await scenario.docker(
          ...[
            'network',
            'create',
            '--driver',
            'macvlan',
            '--subnet',
            '10.77.0.0/24',
            '--opt',
            'parent=mvp',
            'mac-net',
          ],
        );
        await scenario.startClient({ name: 'on-macvlan', network: 'mac-net' });
        await isServed('on-macvlan');
        const { body } = await scenario.request('on-macvlan', { path: instancePath('compute/name') });
        assert.equal(body, 'vm-emulated');
      });
    }
  });
}

// As Docker leaves it on most VMs since 27.3: frames that stay on a bridge pass no rule that would translate them back.
describe('where frames on a bridge pass no packet rules, wired by host', () => {
  it('serves a client on a network on which the proxy is too', async () => {
    await using scenario = await Scenario.start({ wiring: 'host' });
    await scenario.vm.exec(['sysctl', '-q', '-w', 'net.bridge.bridge-nf-call-iptables=0']);
    await scenario.docker('network', 'create', 'user-net');
    await scenario.startMonitor();
    await scenario.startProxy({ network: 'bridge' });
    await scenario.docker('network', 'connect', 'user-net', 'proxy');
    await scenario.untilServing();
    for (const network of ['bridge', 'user-net']) {
      const name = `on-${network}`;
      await scenario.startClient({ name, network });
      await scenario.untilWired(name);
      const { status, body, failure } = await scenario.request(name, { ...TOKEN, timeoutSeconds: 10 });
      assert.equal(status, 200, `${name}: ${body} ${failure ?? ''}`);
    }
  });
});
