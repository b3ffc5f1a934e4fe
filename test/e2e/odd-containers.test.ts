import assert from 'node:assert/strict';
import { BARE_IMAGE, tokenPath } from '../lab/index.ts';
import { runCommand } from '../lab/run-command.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net'), timeoutSeconds: 5 };
const BYSTANDERS = Array.from({ length: 20 }, (_, index) => `bystander-${index}`);

/** Asks for a token and prints the status; the image has nothing but Node. */
const BARE_CLIENT = `
  require('http').get({ host: '169.254.169.254', path: '${TOKEN.path}', headers: { Metadata: 'true' } },
    answer => { console.log(answer.statusCode); process.exit(); });`;

for (const wiring of ['host', 'nat'] as const) {
  describe(`odd containers, wired by ${wiring}`, () => {
    let scenario: Scenario;

    before(async function () {
      this.timeout(120_000);
      scenario = await Scenario.start({ wiring });
      for (const name of BYSTANDERS) await scenario.startContainer({ name });
    });
    after(() => scenario[Symbol.asyncDispose]());

    /** All that can be wired in a container's network namespace. */
    async function fingerprint(name: string): Promise<string> {
      const pid = (await scenario.docker('inspect', '--format', '{{.State.Pid}}', name)).trim();
      const inside = async (...argv: [string, ...string[]]) =>
        (await runCommand(['nsenter', `--net=/proc/${pid}/ns/net`, ...argv])).stdout;
      const parts = [
        await inside('nft', '--stateless', 'list', 'ruleset'),
        await inside('ip', 'route', 'show', 'table', 'all'),
        await inside('ip', 'rule', 'show'),
        // Without lifetimes, which count down.
        await inside('ip', '-brief', 'address', 'show'),
      ];
      return parts.join('\n');
    }

    it('leaves the namespaces of twenty bystanders byte-identical while clients come, are wired and go', async function () {
      this.timeout(120_000);
      const before = await Promise.all(BYSTANDERS.map(fingerprint));
      await scenario.startMonitor();
      await scenario.startProxy();
      await scenario.untilServing();
      await scenario.startClient({ name: 'passing' });
      await scenario.untilWired('passing');
      await scenario.removeContainers('passing');
      await scenario.untilStatus('the client to be gone', ({ clients }) => clients.length === 0);
      const after = await Promise.all(BYSTANDERS.map(fingerprint));
      assert.deepEqual(after, before);
      assert.match(before[0] ?? '', /default via/);
      await scenario.removeContainers(...BYSTANDERS);
    });

    it('serves an image that has no network tool in it', async () => {
      await scenario.startClient({
        name: 'bare',
        image: BARE_IMAGE,
        command: ['node', '-e', 'setInterval(() => {}, 1000)'],
      });
      await scenario.untilWired('bare');
      assert.equal((await scenario.docker('exec', 'bare', 'node', '-e', BARE_CLIENT)).trim(), '200');
    });

    it('serves two labelled containers that share a namespace what both may have', async () => {
      await scenario.startClient({ name: 'owner' });
      await scenario.startClient({
        name: 'sharer',
        network: 'container:owner',
        labels: { 'com.msi-proxy.resources': 'https://vault.azure.net' },
      });
      await scenario.untilWired('owner', 'sharer');
      for (const name of ['owner', 'sharer']) {
        assert.equal((await scenario.request(name, TOKEN)).status, 200, name);
        const other = await scenario.request(name, { path: tokenPath('https://management.azure.com') });
        assert.equal(other.status, 403, name);
      }
    });

    it('refuses the address as soon as an unlabelled container shares it, and says whose fault it is', async () => {
      await scenario.startContainer({ name: 'stranger', network: 'container:owner' });
      const { clients } = await scenario.untilStatus('the owner to be refused', status =>
        status.clients.some(({ name, state }) => name === 'owner' && state === 'refused'),
      );
      assert.match(
        clients.find(({ name }) => name === 'owner')?.reason ?? '',
        /"stranger" shares its network/,
      );
      for (const name of ['owner', 'sharer', 'stranger']) {
        assert.notEqual((await scenario.request(name, TOKEN)).status, 200, name);
      }
      await scenario.removeContainers('stranger');
      await scenario.untilWired('owner', 'sharer');
      assert.equal((await scenario.request('owner', TOKEN)).status, 200);
    });

    it('leaves a labelled container on the network of the VM alone', async () => {
      await scenario.startClient({ name: 'on-host', network: 'host' });
      const { clients } = await scenario.untilStatus('it to be refused', status =>
        status.clients.some(({ name, state }) => name === 'on-host' && state === 'refused'),
      );
      assert.match(clients.find(({ name }) => name === 'on-host')?.reason ?? '', /VM's own network/);
      // The VM itself reaches IMDS as ever.
      assert.equal((await scenario.request('on-host', TOKEN)).status, 200);
    });

    it('gives a container nothing that put itself on the network of the proxies', async () => {
      await scenario.startContainer({ name: 'intruder', network: 'msi-proxy-net' });
      assert.notEqual((await scenario.request('intruder', TOKEN)).status, 200);
    });

    it('refuses a malformed policy and an unknown label, says why, and serves the others', async () => {
      await scenario.startClient({ name: 'misspelt', labels: { 'com.msi-proxy.identty': 'system' } });
      await scenario.startClient({
        name: 'malformed',
        labels: { 'com.msi-proxy.identity': 'orders; rm -rf /' },
      });
      await scenario.startClient({ name: 'fine' });
      const { clients } = await scenario.untilStatus('both to be refused', status =>
        ['misspelt', 'malformed'].every(name =>
          status.clients.some(client => client.name === name && client.state === 'refused'),
        ),
      );
      const reasonOf = (name: string) => clients.find(client => client.name === name)?.reason ?? '';
      assert.match(
        reasonOf('misspelt'),
        /com\.msi-proxy\.identty is "system": expected no such label; known are/,
      );
      assert.match(
        reasonOf('malformed'),
        /com\.msi-proxy\.identity is "orders; rm -rf \/": expected "system", a client id/,
      );
      for (const name of ['misspelt', 'malformed']) {
        const { status } = await scenario.request(name, TOKEN);
        assert.equal(status === 200, false, name);
      }
      await scenario.untilWired('fine');
      assert.equal((await scenario.request('fine', TOKEN)).status, 200);
    });

    it('leaves no trace after unwire --all', async () => {
      await scenario.startClient({ name: 'last' });
      await scenario.untilWired('last');
      await scenario.stopMonitor();
      const output = await scenario.runMonitorCommand('unwire', '--all');
      assert.equal(output.exitCode, 0, output.stdout + output.stderr);
      const rules = await scenario.vm.exec(['nft', 'list', 'ruleset']);
      assert.doesNotMatch(rules, /msi_proxy|169\.254\.169\.254/);
      assert.doesNotMatch(await fingerprint('last'), /msi_proxy/);
    });
  });
}
