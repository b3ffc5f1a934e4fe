import assert from 'node:assert/strict';
import { join } from 'node:path';
import { curlArguments, readCurlOutput, tokenPath, waitUntil } from '../lab/index.ts';
import { EngineTap } from '../lab/engine-tap.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };
const MONITOR_KILLS = 12;
const FREEZE_MILLIS = 30_000;

for (const wiring of ['host', 'nat'] as const) {
  describe(`when something fails, wired by ${wiring}`, () => {
    let scenario: Scenario;
    let tap: EngineTap;

    before(async () => {
      scenario = await Scenario.start({ wiring, liveRestore: true });
      tap = await EngineTap.start(join(scenario.vm.directory, 'tap.sock'), scenario.vm.engine.socketPath);
      await startMonitor();
      await scenario.startProxy();
      await scenario.untilServing();
      await scenario.startClient({ name: 'client' });
      await isServed('client');
    });
    after(async () => {
      await scenario[Symbol.asyncDispose]();
      await tap[Symbol.asyncDispose]();
    });

    async function startMonitor(): Promise<void> {
      await scenario.startMonitor({ DOCKER_HOST: tap.host });
    }

    async function isServed(...clients: string[]): Promise<void> {
      await scenario.untilWired(...clients);
      for (const client of clients) {
        const { status, body, failure } = await scenario.request(client, TOKEN);
        assert.equal(status, 200, `${client}: ${body} ${failure ?? ''}`);
      }
    }

    it(`converges after the monitor was killed at ${MONITOR_KILLS} moments while clients started`, async () => {
      const names: string[] = [];
      for (let round = 0; round < MONITOR_KILLS; round += 1) {
        const name = `round-${round}`;
        names.push(name);
        const started = scenario.startClient({ name });
        // From the first packet rule to the wired client, a start takes some hundred milliseconds.
        await new Promise(resolve => setTimeout(resolve, round * 40));
        await scenario.killMonitor();
        await started;
        await startMonitor();
      }
      await isServed(...names, 'client');
      await scenario.removeContainers(...names);
    });

    it('follows Docker again after the event stream was cut', async () => {
      await waitUntil(() => tap.eventStreams > 0, { what: 'an event stream' });
      tap.cutEventStreams();
      await scenario.startClient({ name: 'after-cut' });
      await isServed('after-cut');
      await scenario.removeContainers('after-cut');
    });

    it('goes on serving while the engine is frozen for 30 s, and follows it when it thaws', async function () {
      this.timeout(120_000);
      const ask = await scenario.requesterIn('client');
      scenario.vm.engine.freeze();
      try {
        const end = Date.now() + FREEZE_MILLIS;
        let requests = 0;
        while (Date.now() < end) {
          const { status, body } = await ask({ ...TOKEN, timeoutSeconds: 10 });
          assert.equal(status, 200, `request ${requests}: ${body}`);
          requests += 1;
          await new Promise(resolve => setTimeout(resolve, 1_000));
        }
        assert.ok(requests > 5, `${requests} requests`);
      } finally {
        scenario.vm.engine.unfreeze();
      }
      await scenario.untilStatus('the engine to answer', ({ engine }) => engine.state === 'connected');
      await scenario.startClient({ name: 'after-thaw' });
      await isServed('after-thaw', 'client');
      await scenario.removeContainers('after-thaw');
    });

    it('serves through a restart of the engine with live-restore, also while there is none', async () => {
      const pid = await scenario.docker('inspect', '--format', '{{.State.Pid}}', 'client');
      await scenario.vm.engine.stop();
      const { status, body } = readCurlOutput(
        await scenario.vm.run([
          ...(['nsenter', `--target=${pid}`, '--net'] as const),
          ...curlArguments({ ...TOKEN, timeoutSeconds: 10 }),
        ]),
      );
      assert.equal(status, 200, body);
      await scenario.vm.engine.start();
      await scenario.untilStatus('the engine to answer', ({ engine }) => engine.state === 'connected');
      await scenario.untilServing();
      await isServed('client');
    });
  });

  describe(`when the engine restarts without live-restore, wired by ${wiring}`, () => {
    let scenario: Scenario;

    before(async () => {
      scenario = await Scenario.start({ wiring });
      await scenario.startMonitor();
      await scenario.startProxy({ extra: ['--restart', 'always'] });
      await scenario.startClient({ name: 'client', extra: ['--restart', 'always'] });
      await scenario.untilServing();
      await scenario.untilWired('client');
    });
    after(() => scenario[Symbol.asyncDispose]());

    it('serves the containers again that Docker starts again', async () => {
      await scenario.vm.engine.stop();
      await scenario.vm.engine.start();
      await scenario.untilStatus('the engine to answer', ({ engine }) => engine.state === 'connected');
      await scenario.untilServing();
      await scenario.untilWired('client');
      const { status, body, failure } = await scenario.request('client', TOKEN);
      assert.equal(status, 200, body + (failure ?? ''));
    });
  });
}
