import assert from 'node:assert/strict';
import { join } from 'node:path';
import { instancePath, tokenPath } from '../lab/index.ts';
import { EngineTap } from '../lab/engine-tap.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net'), timeoutSeconds: 5 };
const METADATA = { path: instancePath('compute/name'), timeoutSeconds: 5 };
const ADDRESS = '10.66.0.66';

for (const wiring of ['host', 'nat'] as const) {
  describe(`when an address changes hands, wired by ${wiring}`, () => {
    let scenario: Scenario;
    let tap: EngineTap;

    before(async () => {
      scenario = await Scenario.start({ wiring });
      tap = await EngineTap.start(join(scenario.vm.directory, 'tap.sock'), scenario.vm.engine.socketPath);
      await scenario.docker('network', 'create', '--subnet', '10.66.0.0/24', 'fixed-net');
      await scenario.startMonitor({ DOCKER_HOST: tap.host });
      await scenario.startProxy();
      await scenario.untilServing();
    });
    after(async () => {
      await scenario[Symbol.asyncDispose]();
      await tap[Symbol.asyncDispose]();
    });
    beforeEach(async () => {
      await scenario.startClient({ name: 'labelled', network: 'fixed-net', extra: ['--ip', ADDRESS] });
      await scenario.untilWired('labelled');
      assert.equal((await scenario.request('labelled', TOKEN)).status, 200);
      await scenario.vm.imds.forgetArrivals();
    });
    afterEach(async () => {
      tap.passEvents();
      await scenario.removeContainers('heir');
      tap.cutEventStreams();
      await scenario.untilStatus(
        'the containers of this test to be forgotten',
        ({ clients }) => clients.length === 0,
      );
    });

    async function unlabelledHeirGetsNothing(): Promise<void> {
      await scenario.startContainer({ name: 'heir', network: 'fixed-net', extra: ['--ip', ADDRESS] });
      for (const request of [TOKEN, METADATA]) {
        const { status, body } = await scenario.request('heir', request);
        assert.notEqual(status, 200, body);
      }
      const { connections } = await scenario.vm.imds.arrivals();
      assert.deepEqual(connections, []);
    }

    it('gives the unlabelled container that inherits it nothing', async () => {
      await scenario.removeContainers('labelled');
      await unlabelledHeirGetsNothing();
    });

    it('gives it nothing although the event of the death was lost', async () => {
      tap.loseEvents();
      await scenario.removeContainers('labelled');
      await unlabelledHeirGetsNothing();
    });

    it('gives it nothing while the monitor is dead, and serves the next client when it is back', async () => {
      await scenario.killMonitor();
      await scenario.removeContainers('labelled');
      await unlabelledHeirGetsNothing();
      await scenario.startMonitor({ DOCKER_HOST: tap.host });
    });

    it('serves a labelled container that inherits it from an unlabelled one', async () => {
      await scenario.removeContainers('labelled');
      await scenario.startContainer({ name: 'heir', network: 'fixed-net', extra: ['--ip', ADDRESS] });
      assert.notEqual((await scenario.request('heir', TOKEN)).status, 200);
      tap.loseEvents();
      await scenario.removeContainers('heir');
      await scenario.startClient({ name: 'heir', network: 'fixed-net', extra: ['--ip', ADDRESS] });
      if (wiring === 'nat') tap.cutEventStreams(); // its namespace is wired when the monitor knows it
      tap.passEvents();
      if (wiring === 'nat') await scenario.untilWired('heir');
      assert.equal((await scenario.request('heir', TOKEN)).status, 200);
    });
  });
}
