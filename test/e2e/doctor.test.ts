import assert from 'node:assert/strict';
import type { CommandOutput } from '../lab/run-command.ts';
import { waitUntil } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

interface Outcome {
  readonly id: string;
  readonly result: 'ok' | 'warning' | 'failed' | 'skipped';
  readonly seen: string;
  readonly remedy?: string;
}

const VAULT = 'https://vault.azure.net';

/** The exit code, and the outcomes by id. */
function read({ exitCode, stdout, stderr }: CommandOutput) {
  assert.match(stdout, /^\{/, stderr);
  const { checks } = JSON.parse(stdout) as { checks: Outcome[] };
  const of = (id: string): Outcome => {
    const outcome = checks.find(check => check.id === id);
    assert.ok(outcome !== undefined, `${id} is not among ${checks.map(check => check.id).join(', ')}`);
    return outcome;
  };
  return { exitCode, of, checks };
}

function assertFailed({ result, seen, remedy }: Outcome, expected: RegExp): void {
  assert.equal(result, 'failed', seen);
  assert.match(seen, expected);
  assert.notEqual(remedy, undefined);
}

describe('msi-monitor doctor', () => {
  let scenario: Scenario;

  before(async function () {
    this.timeout(120_000);
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.startMonitor();
    await scenario.startProxy();
    await scenario.untilServing();
    // Docker's default would be a warning about neighbours.
    await scenario.startClient({
      name: 'web',
      labels: { 'com.msi-proxy.identity': 'system', 'com.msi-proxy.resources': VAULT },
      extra: ['--cap-drop', 'NET_RAW'],
    });
    await scenario.untilWired('web');
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function doctor(...argv: string[]) {
    return read(await scenario.runMonitorCommand('doctor', ...argv, '--json'));
  }

  it('finds nothing wrong with a healthy VM and a healthy client', async () => {
    const vm = read(await scenario.runMonitorCommand('doctor', '--json'));
    assert.deepEqual(
      vm.checks.filter(({ result }) => result !== 'ok'),
      [],
    );
    assert.equal(vm.exitCode, 0);
    const web = read(await scenario.runMonitorCommand('doctor', 'web', '--resource', VAULT, '--json'));
    assert.deepEqual(
      web.checks.filter(({ result }) => result !== 'ok'),
      [],
    );
    assert.equal(web.exitCode, 0);
    assert.match(web.of('verdict').seen, /allowed, as system/);
    assert.match(web.of('request').seen, /the serving proxy was reached, and serves it/);
  });

  it('says the same in words', async () => {
    const { stdout } = await scenario.runMonitorCommand('doctor', 'web');
    assert.match(stdout, /^ok {7}IMDS {16}169\.254\.169\.254:80 answers with status 200$/m);
    assert.doesNotMatch(stdout, /\u001b/);
  });

  it('says which resource and which identity the policy refuses', async () => {
    const resource = await doctor('web', '--resource', 'https://management.azure.com');
    assertFailed(resource.of('verdict'), /refused/);
    assert.match(resource.of('verdict').remedy ?? '', /com\.msi-proxy\.resources/);
    assert.equal(resource.exitCode, 1);
    const identity = await doctor('web', '--identity', 'object:00000000-0000-0000-0000-000000000001');
    assertFailed(identity.of('verdict'), /only these identities are granted: system/);
  });

  it('finds labels that are mistyped, and what was meant', async () => {
    await scenario.startContainer({
      name: 'almost',
      labels: { MSIClientContianer: '' },
      extra: ['--cap-drop', 'NET_RAW'],
    });
    const client = await doctor('almost');
    assertFailed(client.of('client-label'), /no label MSIClientContainer, but "MSIClientContianer"/);
    assert.equal(client.exitCode, 1);
    await scenario.startClient({ name: 'mistyped', labels: { 'com.msi-proxy.identty': 'system' } });
    const policy = await doctor('mistyped');
    assertFailed(policy.of('policy-labels'), /com\.msi-proxy\.identty/);
    assert.match(policy.of('policy-labels').remedy ?? '', /probably meant to be com\.msi-proxy\.identity/);
    assert.equal(policy.of('wiring').result, 'skipped');
    await scenario.removeContainers('almost', 'mistyped');
  });

  it('finds a client on the network of the VM, and does not send a request from there', async () => {
    await scenario.startClient({ name: 'on-host', network: 'host' });
    const { exitCode, of } = await doctor('on-host');
    assertFailed(of('network'), /--network host/);
    assert.equal(of('request').result, 'skipped');
    assert.equal(exitCode, 1);
    await scenario.removeContainers('on-host');
  });

  it('warns of neighbours that could take over an address', async () => {
    await scenario.startContainer({ name: 'neighbour' });
    const { exitCode, of } = await doctor('web');
    assert.equal(of('neighbours').result, 'warning');
    assert.match(of('neighbours').seen, /neighbour/);
    assert.match(of('neighbours').remedy ?? '', /--cap-drop NET_RAW/);
    assert.equal(exitCode, 2);
    await scenario.removeContainers('neighbour');
  });

  it('names the container that was probably meant', async () => {
    const { of, exitCode } = await doctor('wbe');
    assertFailed(of('container'), /no container "wbe"/);
    assert.equal(of('container').remedy, 'Did you mean web?');
    assert.equal(exitCode, 1);
  });

  it('finds that IMDS does not answer the proxy', async () => {
    await scenario.vm.imds.exec(['ip', 'address', 'delete', '169.254.169.254/32', 'dev', 'lo']);
    const { of, exitCode } = await doctor('web');
    await scenario.vm.imds.exec(['ip', 'address', 'add', '169.254.169.254/32', 'dev', 'lo']);
    assertFailed(of('imds'), /does not answer/);
    assert.equal(of('proxy-route').result, 'ok');
    assert.equal(exitCode, 1);
  });

  it('finds that there is no proxy', async () => {
    await scenario.removeContainers('proxy');
    await scenario.untilStatus('the proxy to be gone', ({ proxies }) => proxies.length === 0);
    const { of, exitCode } = await doctor();
    assertFailed(of('proxy'), /no container with the label MSIProxyContainer runs/);
    assert.equal(of('imds').result, 'skipped');
    assert.equal(exitCode, 1);
    await scenario.startProxy();
    await scenario.untilServing();
  });

  it('finds that no monitor runs, and that somebody has flushed the rules meanwhile', async () => {
    await scenario.stopMonitor();
    await scenario.vm.exec(['nft', 'delete', 'table', 'ip', 'msi_proxy']);
    const { of, exitCode } = await doctor();
    assertFailed(of('monitor'), /No monitor answers at 127\.0\.0\.1:9180/);
    assertFailed(of('guard'), /the table ip msi_proxy is not there/);
    assert.equal(exitCode, 1);
  });

  it('warns that the guard is off', async () => {
    await scenario.startMonitor({ MSI_MONITOR_GUARD: 'off' });
    await waitUntil(async () => (await scenario.status()).proxies.some(({ state }) => state === 'serving'), {
      what: 'the proxy to serve again',
    });
    const { of, exitCode } = await doctor();
    assert.equal(of('guard').result, 'warning');
    assert.match(of('guard').seen, /every container reaches IMDS directly/);
    assert.equal(exitCode, 2);
  });

  it('says where the engine is looked for when it is not there, or not permitted', async () => {
    const absent = read(
      await scenario.runMonitorCommandWith(
        { DOCKER_HOST: 'unix:///nowhere/docker.sock' },
        'doctor',
        '--json',
      ),
    );
    assertFailed(absent.of('engine'), /\/nowhere\/docker\.sock does not exist/);
    const denied = read(await scenario.runMonitorCommandAs(65_534, 'doctor', '--json'));
    assertFailed(denied.of('engine'), /may not open/);
  });
});

for (const wiring of ['nat', 'attach'] as const) {
  describe(`msi-monitor doctor, with wiring by ${wiring}`, () => {
    it('finds nothing wrong with a healthy client, and says when the monitor has gone', async function () {
      this.timeout(120_000);
      await using scenario = await Scenario.start({ wiring });
      await scenario.startMonitor();
      await scenario.startProxy();
      await scenario.untilServing();
      await scenario.startClient({ name: 'web', extra: ['--cap-drop', 'NET_RAW'] });
      await scenario.untilWired('web');
      const healthy = read(await scenario.runMonitorCommand('doctor', 'web', '--json'));
      const wrong = healthy.checks.filter(({ result }) => result === 'warning' || result === 'failed');
      assert.deepEqual(wrong, []);
      assert.equal(healthy.exitCode, 0);
      for (const id of ['wiring', 'rules', 'request']) assert.equal(healthy.of(id).result, 'ok');

      // Without a monitor, nobody mends it.
      await scenario.stopMonitor();
      await scenario.removeContainers('proxy');
      const { of } = read(await scenario.runMonitorCommand('doctor', 'web', '--json'));
      assertFailed(of('monitor'), /No monitor answers/);
      assert.equal(of('rules').result, 'skipped');
    });
  });
}
