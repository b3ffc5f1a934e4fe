import assert from 'node:assert/strict';
import { tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };

for (const wiring of ['host', 'nat'] as const) {
  describe(`through the life of a client, wired by ${wiring}`, () => {
    let scenario: Scenario;

    before(async () => {
      scenario = await Scenario.start({ wiring });
      await scenario.startMonitor();
      await scenario.startProxy();
      await scenario.untilServing();
      await scenario.startClient({ name: 'client' });
      await scenario.untilWired('client');
    });
    after(() => scenario[Symbol.asyncDispose]());

    async function startedAt(name: string): Promise<string> {
      return await scenario.docker('inspect', '--format', '{{.State.StartedAt}}', name);
    }

    /** Wired in its present run: a state from before a restart does not count. */
    async function isServed(name: string): Promise<void> {
      const run = (await startedAt(name)).trim();
      await scenario.untilStatus(`${name} to be wired in this run`, ({ clients }) =>
        clients.some(client => client.name === name && client.startedAt === run && client.state === 'wired'),
      );
      const { status, body, failure } = await scenario.request(name, TOKEN);
      assert.equal(status, 200, body + (failure ?? ''));
    }

    async function isGone(name: string): Promise<void> {
      await scenario.untilStatus(`${name} to be gone`, ({ clients }) =>
        clients.every(client => client.name !== name),
      );
    }

    it('serves it again after a restart', async () => {
      await scenario.docker('restart', '--time', '0', 'client');
      await isServed('client');
    });

    it('serves it again after a pause', async () => {
      await scenario.pause('client');
      await scenario.docker('unpause', 'client');
      await isServed('client');
    });

    it('forgets it when it is killed, and serves it when it is started again', async () => {
      await scenario.docker('kill', 'client');
      await isGone('client');
      await scenario.docker('start', 'client');
      await isServed('client');
    });

    it('goes on under its new name', async () => {
      await scenario.docker('rename', 'client', 'renamed');
      await isServed('renamed');
      await isGone('client');
      await scenario.docker('rename', 'renamed', 'client');
      await isServed('client');
    });

    it('forgets it when it is removed, and serves another one of its name', async () => {
      await scenario.docker('rm', '--force', 'client');
      await isGone('client');
      await scenario.startClient({ name: 'client' });
      await isServed('client');
    });
  });
}
