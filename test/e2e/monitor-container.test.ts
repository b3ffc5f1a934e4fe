import assert from 'node:assert/strict';
import { PROXY_NETWORK, tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };

for (const wiring of ['host', 'nat'] as const) {
  describe(`a monitor that runs as a container, wired by ${wiring}`, () => {
    let scenario: Scenario;

    before(async () => {
      scenario = await Scenario.start({ wiring });
      await scenario.startMonitorContainer();
      await scenario.startProxy({ network: 'bridge' });
      await scenario.untilServing();
    });
    after(() => scenario[Symbol.asyncDispose]());

    it('brings a client to the proxy', async () => {
      await scenario.startClient({ name: 'client' });
      await scenario.untilWired('client');
      const { status, body, failure } = await scenario.request('client', TOKEN);
      assert.equal(status, 200, body + (failure ?? ''));
    });

    it('shows what it knows as a table', async () => {
      const table = await scenario.docker('exec', 'monitor', 'msi-monitor', 'status');
      assert.match(table, /proxy +[0-9a-f]{12} +serving/);
      assert.match(table, new RegExp(String.raw`client +[0-9a-f]{12} +wired +\d+ s +${wiring}`));
    });

    it('is healthy for Docker, and so is the proxy', async () => {
      for (const name of ['monitor', 'proxy']) {
        await scenario.untilHealthy(name);
      }
    });

    it('leaves clients served when it is stopped and started again', async () => {
      await scenario.docker('restart', 'monitor');
      assert.equal((await scenario.request('client', TOKEN)).status, 200);
      await scenario.untilWired('client');
      const networks = await scenario.docker(
        'inspect',
        '--format',
        '{{json .NetworkSettings.Networks}}',
        'proxy',
      );
      assert.equal(Object.keys(JSON.parse(networks) as object).includes(PROXY_NETWORK), true);
    });
  });
}
