import assert from 'node:assert/strict';
import { CLIENT_LABEL, IDENTITY_LABEL, RESOURCES_LABEL } from '@msi-proxy/shared';
import { tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net'), timeoutSeconds: 2 };
const TRACE = '/tmp/msi-proxy-hostile-label';
const SHELL = `"; touch ${TRACE}; $(touch ${TRACE}) \`touch ${TRACE}\` && touch ${TRACE} | #'`;

/** By the container's name: labels that have no business to be policy. */
const REFUSED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'shell-in-value': { [IDENTITY_LABEL]: SHELL },
  // Without spaces, which Docker's own client does not take in a key.
  'shell-in-key': { [`com.msi-proxy.";$(>${TRACE});\`id\`&#'`]: 'x' },
  lines: { [IDENTITY_LABEL]: 'system\n{"level":"error","msg":"forged"}' },
  escape: { [IDENTITY_LABEL]: 'system\u001b[2J' },
  'right-to-left': { [IDENTITY_LABEL]: '\u202Emetsys' },
  'long-value': { [IDENTITY_LABEL]: 'x'.repeat(65_536) },
  'long-key': { [`com.msi-proxy.${'x'.repeat(32_768)}`]: 'x' },
  commas: { 'com.msi-proxy.identities': ','.repeat(65_536) },
  'double-key': { [RESOURCES_LABEL]: 'https://vault.azure.net', 'com.msi-proxy.Resources': '*' },
  space: { [IDENTITY_LABEL]: 'sys tem' },
};

for (const wiring of ['host', 'nat'] as const) {
  describe(`labels that nobody should write, wired by ${wiring}`, function () {
    this.timeout(120_000);
    let scenario: Scenario;

    before(async () => {
      scenario = await Scenario.start({ wiring });
      await scenario.startMonitor();
      await scenario.startProxy();
      await scenario.untilServing();
    });
    after(() => scenario[Symbol.asyncDispose]());

    it('refuse their own container and nobody else, run nothing, and forge no line of the log', async () => {
      for (const [name, labels] of Object.entries(REFUSED)) await scenario.startClient({ name, labels });
      await scenario.startClient({ name: 'fine', labels: { note: SHELL, long: 'x'.repeat(65_536) } });
      await scenario.untilWired('fine');
      await scenario.untilStatus('all of them to be refused', ({ clients }) =>
        Object.keys(REFUSED).every(name =>
          clients.some(client => client.name === name && client.state === 'refused'),
        ),
      );
      await scenario.vm.imds.forgetArrivals();
      for (const name of Object.keys(REFUSED)) {
        assert.notEqual((await scenario.request(name, TOKEN)).status, 200, name);
      }
      assert.deepEqual((await scenario.vm.imds.arrivals()).connections, []);
      assert.equal((await scenario.request('fine', { ...TOKEN, timeoutSeconds: 10 })).status, 200);
      for (const line of scenario.monitorLog().trim().split('\n')) {
        assert.notEqual((JSON.parse(line) as { msg?: string }).msg, 'forged');
        assert.ok(line.length < 20_000, `a line of ${line.length} characters`);
      }
      const traces = await scenario.vm.run(['ls', TRACE]);
      assert.notEqual(traces.exitCode, 0);
      const inProxy = await scenario.vm.engine.run(['exec', 'proxy', 'ls', TRACE]);
      assert.notEqual(inProxy.exitCode, 0);
    });

    it('are no labels of ours when they are written in another case', async () => {
      await scenario.startContainer({
        name: 'other-case',
        labels: { [CLIENT_LABEL.toLowerCase()]: 'true', [CLIENT_LABEL.toUpperCase()]: '' },
      });
      assert.notEqual((await scenario.request('other-case', TOKEN)).status, 200);
      const { clients } = await scenario.status();
      assert.ok(!clients.some(({ name }) => name === 'other-case'));
    });
  });
}
