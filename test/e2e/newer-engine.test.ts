import assert from 'node:assert/strict';
import { newerEngine, tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };

// Since 28.2 Docker drops, before anything is translated back, what reaches a container by another bridge than its own: all
// answers of a proxy to redirected requests.
describe('on a newer engine', () => {
  let engine: Awaited<ReturnType<typeof newerEngine>>;

  before(async function () {
    this.timeout(15 * 60_000); // to get it, once
    const progress = (text: string) => console.log(`    ${text}`);
    engine = await newerEngine(progress).catch((error: unknown) => {
      progress(`skipped: the newer engine cannot be had here: ${(error as Error).message}`);
      return this.skip();
    });
    progress(`Docker ${engine.version}`);
  });

  for (const wiring of ['host', 'nat', 'attach'] as const) {
    it(`serves clients on the default bridge and on a network of their own, wired by ${wiring}`, async () => {
      await using scenario = await Scenario.start({ wiring, programs: engine.programs });
      await scenario.startMonitor();
      // As with the commands of the documentation: the monitor brings it to its network, and it answers by another one.
      await scenario.startProxy({ network: 'bridge' });
      await scenario.untilServing();
      await scenario.docker('network', 'create', 'own');
      await scenario.startClient({ name: 'on-bridge' });
      await scenario.startClient({ name: 'on-own', network: 'own' });
      await scenario.untilWired('on-bridge', 'on-own');
      for (const client of ['on-bridge', 'on-own']) {
        const { status, body, failure } = await scenario.request(client, { ...TOKEN, timeoutSeconds: 10 });
        assert.equal(status, 200, `${client}: ${body} ${failure ?? ''}`);
      }
    });
  }
});
