import assert from 'node:assert/strict';
import { IDENTITY_LABEL } from '@msi-proxy/shared';
import { DEFAULT_APP_IDENTITY } from '../../packages/imds-emulator/src/vm/default-vm.ts';
import { instancePath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const VAULT = 'https://vault.azure.net';
const CLIENTS = Array.from({ length: 10 }, (_, index) => `client-${index}`);

/** SDKs take a second of processor time each: as many at once as a small machine has processors. */
const AT_ONCE = 2;

/** Each takes a round trip of seconds, like on Windows, on a machine that may be busy. */
const PATIENCE_MILLIS = 180_000;

async function untilAllWired(scenario: Scenario): Promise<void> {
  await scenario.untilStatus(
    'all clients to be wired',
    ({ clients }) =>
      CLIENTS.every(client => clients.some(({ name, state }) => name === client && state === 'wired')),
    PATIENCE_MILLIS,
  );
}

async function assertTokens(scenario: Scenario): Promise<void> {
  for (let start = 0; start < CLIENTS.length; start += AT_ONCE) {
    await Promise.all(
      CLIENTS.slice(start, start + AT_ONCE).map(async client => {
        const result = await scenario.sdkToken(client, { credential: 'managed-identity', resource: VAULT });
        assert.ok(result.ok, `${client}: ${JSON.stringify(result)}`);
        assert.equal(result.claims['appid'], DEFAULT_APP_IDENTITY.clientId, client);
      }),
    );
  }
}

describe('simulated Windows containers', () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'portproxy' });
    await scenario.startMonitor();
    await scenario.startProxy();
    await scenario.untilServing();
    const labels = { [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId };
    for (const name of CLIENTS) await scenario.startWindowsClient({ name, labels });
    await untilAllWired(scenario);
  });
  after(() => scenario[Symbol.asyncDispose]());

  it('get tokens with the unmodified Azure SDK, ten of them on one network', async () => {
    await assertTokens(scenario);
  });

  it('are told apart by the proxy, which sees their own addresses', async () => {
    const { status, body } = await scenario.request('client-0', { path: instancePath('compute/name') });
    assert.deepEqual([status, body], [200, 'vm-emulated']);
  });

  it('do not let ContainerUser change their network', async () => {
    const { exitCode, stdout } = await scenario.vm.engine.run([
      'exec',
      '--user',
      'ContainerUser',
      'client-0',
      ...'netsh interface portproxy delete v4tov4 listenport=80 listenaddress=169.254.169.254'.split(' '),
    ]);
    assert.equal(exitCode, 1);
    assert.match(stdout, /requires elevation/);
  });

  it('get tokens after the proxy was replaced by one with another address', async () => {
    const before = await rulesOf('client-0');
    await scenario.removeContainers('proxy');
    // Takes the address that the old one had on the network of the clients.
    await scenario.startContainer({ name: 'in-its-place' });
    await scenario.startProxy({ name: 'proxy-2' });
    await scenario.untilServing('proxy-2');
    await scenario.untilWired(...CLIENTS);
    await assertTokens(scenario);
    assert.notEqual(await rulesOf('client-0'), before);
  });

  async function rulesOf(client: string): Promise<string> {
    const command = ['netsh', 'interface', 'portproxy', 'show', 'v4tov4'];
    return await scenario.docker('exec', '--user', 'ContainerAdministrator', client, ...command);
  }

  it('leave nothing of the wiring when the monitor unwires them', async () => {
    await scenario.stopMonitor();
    const { exitCode, stderr } = await scenario.runMonitorCommand('unwire', '--all');
    assert.equal(exitCode, 0, stderr);
    const stdout = await scenario.docker(
      'exec',
      'client-0',
      'netsh',
      'interface',
      'ipv4',
      'show',
      'ipaddresses',
    );
    assert.doesNotMatch(stdout, /169\.254/);
  });
});
