import assert from 'node:assert/strict';
import { CLIENT_LABEL, IDENTITY_LABEL, IMDS_ADDRESS } from '@msi-proxy/shared';
import { DEFAULT_APP_IDENTITY } from '../../packages/imds-emulator/src/vm/default-vm.ts';
import {
  BASE_IMAGE,
  clientContainer,
  runArguments,
  tokenClaims,
  tokenPath,
  waitUntil,
} from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const VAULT = 'https://vault.azure.net';
const LABELS = { [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId };
const LINK = 'msi-proxy-link';

describe('a monitor that has only the Docker API, wired by attach', () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'attach' });
    await startMonitor();
    await scenario.startProxy({ network: 'bridge' });
    await untilStatus('a proxy serves', ({ proxies }) => proxies.some(({ state }) => state === 'serving'));
    await scenario.startClient({ name: 'client', labels: LABELS });
    await scenario.startSdkClient('node-client', 'node', LABELS);
    await untilWired('client', 'node-client');
  });
  after(() => scenario[Symbol.asyncDispose]());

  /** As an operator starts it who gives it nothing but the engine's socket. */
  async function startMonitor(): Promise<void> {
    const folder = scenario.vm.engine.socketPath.replace(/\/[^/]+$/, '');
    await scenario.docker(
      ...runArguments({
        name: 'monitor',
        image: 'msi-proxy/monitor:latest',
        network: 'none',
        env: { DOCKER_HOST: 'unix:///host/run/docker.sock' },
        extra: ['--volume', `${folder}:/host/run`],
      }),
    );
    await untilStatus('the monitor answers', ({ engine }) => engine.state === 'connected');
  }

  type Status = Awaited<ReturnType<Scenario['status']>>;

  async function untilStatus(what: string, holds: (status: Status) => boolean): Promise<Status> {
    let last = '';
    const read = async () => {
      const answer = await scenario.vm.engine.run(['exec', 'monitor', 'msi-monitor', 'status', '--json']);
      last = answer.stdout + answer.stderr;
      if (answer.exitCode !== 0) return undefined;
      const status = JSON.parse(answer.stdout) as Status;
      return holds(status) ? status : undefined;
    };
    try {
      return await waitUntil(read, { what, timeoutMillis: 60_000, intervalMillis: 200 });
    } catch (error) {
      const { stdout } = await scenario.vm.engine.run(['logs', 'monitor']);
      throw new Error(`${(error as Error).message}; ${last}; ${stdout}`, { cause: error });
    }
  }

  async function untilWired(...names: string[]): Promise<Status> {
    return await untilStatus(`${names.join(', ')} are wired`, ({ clients }) =>
      names.every(name =>
        clients.some(
          client => client.name === name && client.state === 'wired' && client.method === 'attach',
        ),
      ),
    );
  }

  async function tokenOf(container: string) {
    return await scenario.request(container, { path: tokenPath(VAULT) });
  }

  async function addressOnLink(container: string): Promise<string> {
    const format = `{{(index .NetworkSettings.Networks "${LINK}").IPAddress}}`;
    return (await scenario.docker('inspect', '--format', format, container)).trim();
  }

  it('is taken by itself, and the status says that there is no guard', async () => {
    const { guard } = await untilWired('client');
    assert.equal(guard.state, 'unavailable');
    assert.match(guard.reason ?? '', /no capability NET_ADMIN.*no access control/);
  });

  it('gives a client the token of its own identity', async () => {
    const answer = await tokenOf('client');
    assert.equal(answer.status, 200, answer.body + (answer.failure ?? ''));
    assert.equal(tokenClaims(answer)['appid'], DEFAULT_APP_IDENTITY.clientId);
  });

  it('serves @azure/identity', async () => {
    for (const credential of ['managed-identity', 'default'] as const) {
      const result = await scenario.sdkToken('node-client', { credential, resource: VAULT });
      assert.ok(result.ok, JSON.stringify(result));
      assert.equal(result.claims['appid'], DEFAULT_APP_IDENTITY.clientId);
    }
  });

  it("gives the address of IMDS to nobody but the proxy, and leaves the VM's own way to IMDS alone", async () => {
    assert.equal(await addressOnLink('proxy'), IMDS_ADDRESS);
    const way = await scenario.vm.exec(['ip', 'route', 'get', IMDS_ADDRESS]);
    assert.doesNotMatch(way, /msi-link0/);
  });

  it('serves a client that was connected before its start from its first moment', async () => {
    const [, ...create] = runArguments(
      clientContainer({
        name: 'named-at-creation',
        image: BASE_IMAGE,
        labels: LABELS,
        command: [
          'curl',
          '--fail',
          '--silent',
          '--header',
          'Metadata: true',
          `http://${IMDS_ADDRESS}${tokenPath(VAULT)}`,
        ],
      }),
    );
    await scenario.docker('create', ...create.filter(argument => argument !== '--detach'));
    await waitUntil(
      async () =>
        (await scenario.docker('network', 'inspect', LINK)) !== '' &&
        (
          await scenario.docker(
            'inspect',
            '--format',
            '{{json .NetworkSettings.Networks}}',
            'named-at-creation',
          )
        ).includes(LINK),
      { what: 'the monitor to connect it', timeoutMillis: 10_000 },
    );
    await scenario.docker('start', '--attach', 'named-at-creation');
    const answer = {
      status: 200,
      body: await scenario.docker('logs', 'named-at-creation'),
      elapsedMillis: 0,
    };
    assert.equal(tokenClaims(answer)['appid'], DEFAULT_APP_IDENTITY.clientId);
  });

  it('gives nothing to an unlabelled container that was put on the network by hand', async () => {
    await scenario.startContainer({ name: 'unlabelled' });
    await scenario.docker('network', 'connect', LINK, 'unlabelled');
    const answer = await tokenOf('unlabelled');
    assert.equal(answer.status, 400, answer.body + (answer.failure ?? ''));
    assert.match(answer.body, /Identity not found/);
  });

  it('serves a client again after its restart', async () => {
    await scenario.docker('restart', '--time', '0', 'client');
    await untilWired('client');
    assert.equal((await tokenOf('client')).status, 200);
  });

  it('serves again after a restart of the proxy, which begins with the address', async () => {
    await scenario.docker('restart', 'proxy');
    await untilStatus('the proxy serves again', ({ proxies }) =>
      proxies.some(({ state }) => state === 'serving'),
    );
    await untilWired('client');
    assert.equal((await tokenOf('client')).status, 200);
  });

  it('gives the address to the next proxy, and clients need nothing', async () => {
    const before = await addressOnLink('client');
    await scenario.docker('rm', '--force', '--volumes', 'proxy');
    await scenario.startProxy({ name: 'second' });
    await untilStatus('the second serves', ({ proxies }) =>
      proxies.some(({ name, state }) => name === 'second' && state === 'serving'),
    );
    await untilWired('client', 'node-client');
    assert.equal((await tokenOf('client')).status, 200);
    assert.deepEqual([await addressOnLink('second'), await addressOnLink('client')], [IMDS_ADDRESS, before]);
  });

  it('leaves no trace after unwire --all', async () => {
    await scenario.docker('stop', 'monitor');
    const { exitCode, stdout } = await scenario.runMonitorCommand('unwire', '--all');
    assert.equal(exitCode, 0, stdout);
    const networks = await scenario.docker('network', 'ls', '--format', '{{.Name}}');
    assert.doesNotMatch(networks, new RegExp(LINK));
    assert.doesNotMatch(await scenario.vm.exec(['ip', 'link']), /msi-link0/);
    const labelled = await scenario.docker('ps', '--quiet', '--filter', `label=${CLIENT_LABEL}`);
    assert.equal(labelled.trim().split('\n').length, 2);
  });
});
