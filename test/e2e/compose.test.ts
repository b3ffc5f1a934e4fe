import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { repositoryRoot } from '../../scripts/lib/repository.ts';
import { BASE_IMAGE, tokenPath, waitUntil } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };
/** The client of the example. */
const CLIENT = 'compose_orders_1';
const BYSTANDER = 'compose_bystander_1';

/** A service of the same project that has no label. */
const WITH_BYSTANDER = `services:
  bystander:
    image: ${BASE_IMAGE}
    command: [sleep, infinity]
`;

for (const { title, files, asksTheVm } of [
  { title: 'on a VM, by Compose', files: ['compose.yaml'], asksTheVm: true },
  { title: 'on a laptop, by Compose', files: ['compose.yaml', 'laptop.yaml'], asksTheVm: false },
]) {
  describe(title, () => {
    let scenario: Scenario;
    let traceBefore: string;

    before(async () => {
      scenario = await Scenario.start({ wiring: 'host' });
      traceBefore = await trace();
      await writeFile(join(scenario.vm.directory, 'bystander.yaml'), WITH_BYSTANDER);
      await compose('up', '--detach');
      await scenario.untilServing('msi-proxy');
      await scenario.untilWired(CLIENT);
    });
    after(() => scenario[Symbol.asyncDispose]());

    async function compose(...command: string[]): Promise<string> {
      const shipped = files.flatMap(file => ['--file', join(repositoryRoot, 'deploy/compose', file)]);
      const bystander = ['--file', join(scenario.vm.directory, 'bystander.yaml')];
      return await scenario.vm.exec(['docker-compose', ...shipped, ...bystander, ...command], {
        env: {
          ...process.env,
          DOCKER_HOST: scenario.vm.engine.host,
          // The lab's engine has its socket elsewhere.
          DOCKER_SOCKET_FOLDER: dirname(scenario.vm.engine.socketPath),
        },
      });
    }

    /** All that could stay behind on the VM. */
    async function trace(): Promise<string> {
      const parts = [
        await scenario.docker('ps', '--all', '--format', '{{.Names}}'),
        await scenario.docker('network', 'ls', '--format', '{{.Name}}'),
        await scenario.docker('volume', 'ls', '--format', '{{.Name}}'),
        await scenario.vm.exec(['iptables-save']),
        await scenario.vm.exec(['nft', 'list', 'tables']),
        await scenario.vm.exec(['ip', 'rule']),
      ];
      const withoutCountersAndTimes = /\[\d+:\d+\]$|^# (?:Generated|Completed).*$/gm;
      return parts.join('\n').replaceAll(withoutCountersAndTimes, '').trim();
    }

    it('lets the example client have its token', async () => {
      await waitUntil(async () => (await scenario.docker('logs', CLIENT)).includes('200 token valid until'), {
        what: 'the client to have its token',
        timeoutMillis: 30_000,
      });
    });

    it('gives the client what its labels say, and no more', async () => {
      const { status } = await scenario.request(CLIENT, { path: tokenPath('https://storage.azure.com') });
      assert.equal(status, 403);
    });

    it('gives nothing to a service without the label', async () => {
      const { status, body } = await scenario.request(BYSTANDER, TOKEN);
      assert.deepEqual(
        { status, body: JSON.parse(body) as unknown },
        { status: 400, body: { error: 'invalid_request', error_description: 'Identity not found' } },
      );
    });

    it(`asks ${asksTheVm ? 'the IMDS of the VM' : 'the emulator and never the IMDS of the VM'}`, async () => {
      assert.equal((await scenario.vm.imds.arrivals()).connections.length > 0, asksTheVm);
    });

    it('serves again after all was recreated, as an upgrade does', async () => {
      await compose('up', '--detach', '--force-recreate');
      await scenario.untilServing('msi-proxy');
      await scenario.untilWired(CLIENT);
      const { status, body, failure } = await scenario.request(CLIENT, TOKEN);
      assert.equal(status, 200, body + (failure ?? ''));
    });

    it('keeps the guard when it goes down, until it is told to take it away', async () => {
      await compose('stop', 'msi-monitor');
      assert.match(await scenario.vm.exec(['nft', 'list', 'tables']), /msi_proxy/);
      await compose('run', '--rm', 'msi-monitor', 'unwire', '--all');
      await compose('down', '--volumes');
      assert.equal(await trace(), traceBefore);
    });
  });
}
