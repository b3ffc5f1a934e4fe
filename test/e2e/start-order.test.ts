import assert from 'node:assert/strict';
import { CLIENT_LABEL } from '@msi-proxy/shared';
import { BASE_IMAGE, curlArguments, instancePath, readCurlOutput, tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const VAULT = 'https://vault.azure.net';
const TOKEN = { path: tokenPath(VAULT) };

for (const wiring of ['host', 'nat'] as const) {
  describe(`in any order of starts, wired by ${wiring}`, () => {
    let scenario: Scenario;

    before(async () => {
      scenario = await Scenario.start({ wiring });
    });
    after(() => scenario[Symbol.asyncDispose]());

    async function isServed(client: string): Promise<void> {
      await scenario.untilWired(client);
      const { status, body } = await scenario.request(client, TOKEN);
      assert.equal(status, 200, body);
    }

    it('serves a client that was there before monitor and proxy', async () => {
      await scenario.startClient({ name: 'first' });
      await scenario.startMonitor();
      await scenario.startProxy();
      await scenario.untilServing();
      await isServed('first');
    });

    it('serves a client that came after both', async () => {
      await scenario.startClient({ name: 'after' });
      await isServed('after');
    });

    it('serves a client that came while the monitor was down, once it is back', async () => {
      await scenario.killMonitor();
      await scenario.startClient({ name: 'meanwhile' });
      await scenario.startMonitor();
      await isServed('meanwhile');
      await isServed('first');
    });

    it('serves clients that came while there was no proxy, once there is one', async () => {
      await scenario.removeContainers('proxy');
      await scenario.startClient({ name: 'early' });
      await scenario.untilStatus('the client to wait for a proxy', ({ clients }) =>
        clients.some(({ name, state }) => name === 'early' && state === 'pending'),
      );
      await scenario.startProxy();
      await scenario.untilServing();
      await isServed('early');
    });

    it('serves twenty that start at once', async () => {
      const names = Array.from({ length: 20 }, (_, index) => `many-${index}`);
      await Promise.all(names.map(name => scenario.startClient({ name })));
      await scenario.untilWired(...names);
      const answers = await Promise.all(
        names.map(name => scenario.request(name, { path: instancePath('compute/name') })),
      );
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
      await scenario.removeContainers(...names);
    });

    it('serves a container whose first instruction is the request, fifty times of fifty', async function () {
      this.timeout(400_000);
      // With `nat` nothing is there before the container runs; a client has to try again, as SDKs do.
      const patience = wiring === 'host' ? [] : ['--retry', '8', '--retry-all-errors', '--retry-delay', '1'];
      const failures: string[] = [];
      const runs = Array.from({ length: 50 }, (_, index) => index);
      const runOnce = async (run: number) => {
        const output = await scenario.vm.engine.run([
          ...['run', '--rm', '--label', CLIENT_LABEL, BASE_IMAGE],
          ...curlArguments({ ...TOKEN, extra: patience }),
        ]);
        const answer = readCurlOutput(output);
        if (answer.status !== 200) failures.push(`${run}: ${answer.status} ${answer.failure ?? answer.body}`);
      };
      // Four at once: most of a run is Docker's own time.
      const worker = async () => {
        for (let run = runs.pop(); run !== undefined; run = runs.pop()) await runOnce(run);
      };
      await Promise.all(Array.from({ length: 4 }, worker));
      assert.deepEqual(failures, []);
    });
  });
}
