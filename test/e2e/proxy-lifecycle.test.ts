import assert from 'node:assert/strict';
import { PROXY_NETWORK, tokenPath, waitUntil } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

/** As SDKs begin: without the header `Metadata`. */
const PROBE = { path: tokenPath('https://vault.azure.net'), headers: {}, timeoutSeconds: 2 };
const TOKEN = { path: tokenPath('https://vault.azure.net') };

for (const wiring of ['host', 'nat'] as const) {
  describe(`through the life of the proxy, wired by ${wiring}`, () => {
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

    async function addressOf(proxy: string): Promise<string | undefined> {
      const { proxies } = await scenario.status();
      return proxies.find(({ name }) => name === proxy)?.address;
    }

    /** Served by this proxy: it has counted the request. */
    async function isServedBy(proxy: string): Promise<void> {
      await scenario.untilServing(proxy);
      await scenario.untilWired('client');
      const { status, body, failure } = await scenario.request('client', TOKEN);
      assert.equal(status, 200, body + (failure ?? ''));
      assert.match(await scenario.docker('logs', proxy), /"group":"token".*"verdict":"allowed"/);
    }

    it('serves again when the proxy was killed and started again', async () => {
      await scenario.docker('kill', '--signal', 'KILL', 'proxy');
      await scenario.untilStatus('no proxy to serve', ({ proxies }) =>
        proxies.every(({ state }) => state !== 'serving'),
      );
      await scenario.docker('start', 'proxy');
      await isServedBy('proxy');
    });

    it('serves by another proxy at another address when the first one is removed', async () => {
      const first = await addressOf('proxy');
      // Holds the address, so that the next proxy gets another one.
      await scenario.removeContainers('proxy');
      await scenario.startContainer({ name: 'squatter', network: PROXY_NETWORK });
      await scenario.startProxy({ name: 'second' });
      await isServedBy('second');
      assert.notEqual(await addressOf('second'), first);
      await scenario.removeContainers('squatter');
    });

    it('lets a second proxy stand by, and take over when the first one is killed', async () => {
      await scenario.startProxy({ name: 'third' });
      await scenario.untilStatus('the third to stand by', ({ proxies }) =>
        proxies.some(({ name, state }) => name === 'third' && state === 'standby'),
      );
      await isServedBy('second');
      await scenario.docker('kill', '--signal', 'KILL', 'second');
      await isServedBy('third');
      await scenario.docker('start', 'second');
      await scenario.untilStatus('the second to stand by now', ({ proxies }) =>
        proxies.some(({ name, state }) => name === 'second' && state === 'standby'),
      );
    });

    it('takes the other proxy when the serving one is paused', async () => {
      await scenario.pause('third');
      await isServedBy('second');
      await scenario.docker('unpause', 'third');
      await scenario.untilStatus('the third to stand by again', ({ proxies }) =>
        proxies.some(({ name, state }) => name === 'third' && state === 'standby'),
      );
      await isServedBy('second');
    });

    it('follows the serving proxy when it is stopped in order', async () => {
      await scenario.docker('stop', 'second');
      await isServedBy('third');
    });

    // `nat` has no stand-in, which answers probes while no proxy does.
    if (wiring !== 'host') return;

    it('leaves the proxy when it was paused while there was no monitor, and takes it again', async () => {
      await scenario.stopMonitor();
      await scenario.pause('third');
      await scenario.startMonitor();
      await scenario.untilStatus('the third to be found paused', ({ proxies }) =>
        proxies.some(({ name, reason }) => name === 'third' && reason === 'it is paused'),
      );
      await waitUntil(async () => (await scenario.request('client', PROBE)).status === 400, {
        what: 'the stand-in to answer a probe',
      });
      await scenario.docker('unpause', 'third');
      await isServedBy('third');
    });
  });
}
