import assert from 'node:assert/strict';
import type { ClientStatus } from '@msi-proxy/shared';
import { tokenPath, waitUntil } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };
const ADDRESS = '169.254.169.254';

/** Clients that are wired, each with what is different about it. */
const SERVED: readonly (readonly [what: string, name: string, env: Readonly<Record<string, string>>])[] = [
  [
    'in whose persistent store another one left the address',
    'leaked',
    { WINDOWS_SIM_LEAKED_ADDRESS: ADDRESS },
  ],
  ['whose service is stopped', 'stopped', { WINDOWS_SIM_IPHLPSVC: 'stopped' }],
  ['whose service is disabled', 'disabled', { WINDOWS_SIM_IPHLPSVC: 'disabled' }],
  ['whose rule is followed on set', 'retarget-set', { WINDOWS_SIM_RETARGET: 'set' }],
  ['whose rule is followed on delete and add', 'retarget-replace', { WINDOWS_SIM_RETARGET: 'replace' }],
  [
    'whose rule is followed after a restart of the service',
    'retarget-restart',
    { WINDOWS_SIM_RETARGET: 'restart' },
  ],
  ['in German', 'german', { WINDOWS_SIM_LANGUAGE: 'de' }],
  ['in Japanese', 'japanese', { WINDOWS_SIM_LANGUAGE: 'ja' }],
  ['in which every program takes two seconds to start', 'slow', { WINDOWS_SIM_EXEC_DELAY_MS: '2000' }],
  ['without PowerShell', 'nanoserver', { WINDOWS_SIM_MISSING: 'powershell' }],
  [
    'without PowerShell, in German',
    'nanoserver-german',
    { WINDOWS_SIM_MISSING: 'powershell', WINDOWS_SIM_LANGUAGE: 'de' },
  ],
  [
    'without PowerShell, in Japanese',
    'nanoserver-japanese',
    { WINDOWS_SIM_MISSING: 'powershell', WINDOWS_SIM_LANGUAGE: 'ja' },
  ],
  [
    'without PowerShell, whose rule is followed after a restart of the service',
    'nanoserver-restart',
    { WINDOWS_SIM_MISSING: 'powershell', WINDOWS_SIM_RETARGET: 'restart' },
  ],
];

/** Clients that cannot be wired, and the reason in the status. */
const REFUSED: readonly (readonly [
  what: string,
  name: string,
  env: Readonly<Record<string, string>>,
  reason: RegExp,
])[] = [
  [
    'without rights',
    'user',
    { WINDOWS_SIM_RIGHTS: 'user' },
    /rights of ContainerAdministrator \(as ContainerUser\)/,
  ],
  [
    'without rights and PowerShell',
    'nanoserver-user',
    { WINDOWS_SIM_RIGHTS: 'user', WINDOWS_SIM_MISSING: 'powershell' },
    /rights of ContainerAdministrator \(as ContainerUser\)/,
  ],
  ['without the service', 'no-service', { WINDOWS_SIM_IPHLPSVC: 'absent' }, /no service iphlpsvc/],
  [
    'with neither PowerShell nor netsh',
    'no-netsh',
    { WINDOWS_SIM_MISSING: 'powershell,netsh' },
    /neither PowerShell nor netsh/,
  ],
];

describe('simulated Windows containers of all kinds', () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'portproxy' });
    await scenario.startMonitor({ MSI_MONITOR_RESYNC_SECONDS: '5' });
    await scenario.startProxy();
    await scenario.untilServing();
    for (const [, name, env] of SERVED) await scenario.startWindowsClient({ name, env });
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function isServed(name: string): Promise<void> {
    await scenario.untilStatus(
      `${name} to be wired`,
      status => clientOf(status.clients, name)?.state === 'wired',
      60_000,
    );
    await isAnswered(name);
  }

  async function isAnswered(name: string): Promise<void> {
    await waitUntil(
      async () => {
        const { status, body, failure } = await scenario.request(name, TOKEN);
        if (status !== 200) throw new Error(body + (failure ?? ''));
        return true;
      },
      { what: `${name} to be given a token`, timeoutMillis: 60_000, intervalMillis: 250 },
    );
  }

  /** Waits until a client is not wired for a reason. */
  async function isRefused(name: string, reason: RegExp): Promise<void> {
    await scenario.untilStatus(
      `${name} to be refused because ${String(reason)}`,
      ({ clients }) => {
        const client = clientOf(clients, name);
        return client?.state !== 'wired' && reason.test(client?.reason ?? '');
      },
      60_000,
    );
  }

  for (const [what, name] of SERVED) {
    it(`serves one ${what}`, async () => await isServed(name));
  }

  it('serves one whose address is tentative for three seconds, alone on its network', async () => {
    await scenario.docker('network', 'create', 'quiet-net');
    await scenario.startWindowsClient({
      name: 'tentative',
      network: 'quiet-net',
      env: { WINDOWS_SIM_DAD: 'always' },
    });
    await isServed('tentative');
  });

  it('takes the address that was left out of the persistent store', async () => {
    const routes = await scenario.docker('exec', 'leaked', 'route', 'print', '-4');
    const [, persistent = ''] = routes.split('Persistent Routes:');
    assert.doesNotMatch(persistent, /169\.254/);
  });

  for (const [what, name, env, reason] of REFUSED) {
    it(`says why it does not serve one ${what}`, async () => {
      await scenario.startWindowsClient({ name, env });
      await isRefused(name, reason);
      await scenario.removeContainers(name);
    });
  }

  it('says that another container owns the address, and serves once that is gone', async () => {
    const network = 'shared-net';
    await scenario.docker('network', 'create', network);
    await scenario.startWindowsClient({ name: 'owner', network });
    await isServed('owner');
    await scenario.startWindowsClient({ name: 'second', network, env: { WINDOWS_SIM_DAD: 'always' } });
    await isRefused('second', /another container or machine on its network owns 169\.254\.169\.254/);
    await scenario.removeContainers('owner');
    await isServed('second');
  });

  it('says that one is paused, and serves it when it goes on', async () => {
    await scenario.startWindowsClient({ name: 'paused' });
    await isServed('paused');
    await scenario.pause('paused');
    const { exitCode, stderr } = await scenario.vm.engine.run(['exec', 'paused', 'cmd']);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /is paused/);
    await scenario.untilStatus('the client to be known as paused', ({ clients }) =>
      (clientOf(clients, 'paused')?.reason ?? '').includes('it is paused'),
    );
    await scenario.docker('unpause', 'paused');
    await isServed('paused');
  });

  it('serves one again after its restart, when the rule is left and the address is gone', async () => {
    await scenario.docker('restart', '--time', '1', 'german');
    await isServed('german');
  });

  const drifts = [
    ['its service was stopped', 'net stop iphlpsvc'],
    [
      'its rule was deleted',
      `netsh interface portproxy delete v4tov4 listenport=80 listenaddress=${ADDRESS}`,
    ],
  ] as const;
  for (const [what, line] of drifts) {
    it(`serves one again after ${what}`, async () => {
      await scenario.docker('exec', 'retarget-set', 'cmd', '/d', '/s', '/c', line);
      assert.notEqual((await scenario.request('retarget-set', TOKEN)).status, 200);
      await isAnswered('retarget-set');
    });
  }

  it('serves all of them after the proxy was replaced by one with another address', async () => {
    await scenario.removeContainers('proxy');
    // Takes the address that the old one had on the network of most clients.
    await scenario.startContainer({ name: 'in-its-place' });
    await scenario.startProxy({ name: 'proxy-2' });
    await scenario.untilServing('proxy-2');
    for (const [, name] of SERVED) await isAnswered(name);
  });
});

function clientOf(clients: readonly ClientStatus[], wanted: string): ClientStatus | undefined {
  return clients.find(({ name }) => name === wanted);
}
