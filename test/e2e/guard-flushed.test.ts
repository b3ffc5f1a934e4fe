import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { IMDS_ADDRESS } from '@msi-proxy/shared';
import { PROXY_NETWORK, PYTHON_IMAGE, tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN_PATH = tokenPath('https://vault.azure.net');
const HAMMER = readFileSync(new URL('support/attacks/hammer.py', import.meta.url), 'utf8');
const LOAD = readFileSync(new URL('support/load-client.mjs', import.meta.url), 'utf8');
const FLUSHES = 20;
const REQUESTS_A_SECOND = 10;

/** By `host.longestGapMillis` and so on of support/load-client.mjs. */
interface Load {
  readonly requests: number;
  readonly failures: readonly string[];
  readonly longestGapMillis: number;
}

describe('the guard, when somebody flushes the packet rules of the VM', function () {
  this.timeout(600_000);
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.startMonitor();
    await scenario.startProxy({ network: PROXY_NETWORK });
    await scenario.untilServing();
    await scenario.startClient({ name: 'client' });
    await scenario.startContainer({ name: 'stranger', image: PYTHON_IMAGE });
    await scenario.untilWired('client');
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function hammer() {
    const argv = ['python3', '-c', HAMMER, TOKEN_PATH];
    const started = await scenario.vm.engine.execWaiting('stranger', argv);
    return async () => JSON.parse(await started.go()) as Record<string, number>;
  }

  async function load() {
    const options = ['new', 'token', String(REQUESTS_A_SECOND), `http://${IMDS_ADDRESS}${TOKEN_PATH}`];
    const argv = ['node', '--input-type=module', '--eval', LOAD, ...options];
    const started = await scenario.vm.engine.execWaiting('client', argv);
    return async () => JSON.parse(await started.go()) as Load;
  }

  /** What the VM's administrators do, knowing nothing of us. The rules of others come back, as firewalls make it. */
  async function deeds(): Promise<readonly (() => Promise<unknown>)[]> {
    const { vm } = scenario;
    const others = (await vm.exec(['iptables-save']))
      .split('\n')
      .filter(line => !line.includes('msi-proxy'))
      .join('\n');
    return [
      () => vm.exec(['nft', 'delete', 'table', 'ip', 'msi_proxy']),
      () => vm.exec(['nft', 'flush', 'table', 'ip', 'msi_proxy']),
      () => vm.exec(['iptables', '--flush', 'DOCKER-USER']),
      async () => {
        await vm.exec(['nft', 'flush', 'ruleset']);
        await vm.exec(['iptables-restore'], { stdin: others });
      },
    ];
  }

  it('has its barrier in the routing', async () => {
    const { guard } = await scenario.status();
    assert.deepEqual(guard.barrier, { state: 'in-place' });
  });

  it('gives IMDS to nobody without the label, and serves clients on', async () => {
    const [endHammer, endLoad] = await Promise.all([hammer(), load()]);
    const flushes = await deeds();
    const mendedAfterMillis: number[] = [];
    for (let round = 0; round < FLUSHES; round += 1) {
      const { repairs } = (await scenario.status()).guard;
      const beganMillis = performance.now();
      await flushes[round % flushes.length]!();
      await scenario.untilStatus('a repair', ({ guard }) => guard.repairs > repairs);
      mendedAfterMillis.push(Math.round(performance.now() - beganMillis));
    }
    const [answers, clients] = await Promise.all([endHammer(), endLoad()]);
    console.log(
      `      ${FLUSHES} flushes, mended after ${mendedAfterMillis.join(', ')} ms; stranger: ${JSON.stringify(answers)}; ` +
        `client: ${clients.requests} requests, longest without an answer ${clients.longestGapMillis} ms, ` +
        `failed ${JSON.stringify(clients.failures)}`,
    );
    assert.ok(Object.values(answers).reduce((sum, count) => sum + count, 0) > 100, JSON.stringify(answers));
    assert.equal(answers['200'], undefined, JSON.stringify(answers));
    assert.ok(clients.requests > FLUSHES);
  });

  it('gives IMDS to nobody while no monitor mends it', async () => {
    await scenario.killMonitor();
    await scenario.vm.exec(['nft', 'delete', 'table', 'ip', 'msi_proxy']);
    await scenario.vm.imds.forgetArrivals();

    for (const container of ['stranger', 'client']) {
      assert.equal((await scenario.request(container, { path: TOKEN_PATH, timeoutSeconds: 3 })).status, 0);
    }

    assert.deepEqual((await scenario.vm.imds.arrivals()).connections, []);
    await scenario.startMonitor();
    await scenario.untilWired('client');
    assert.equal((await scenario.request('client', { path: TOKEN_PATH })).status, 200);
  });

  it('stops nobody in audit mode', async () => {
    await scenario.stopMonitor();
    await scenario.startMonitor({ MSI_MONITOR_GUARD: 'audit' });
    await scenario.untilStatus(
      'the mode',
      ({ guard }) => guard.mode === 'audit' && guard.state === 'in-place',
    );
    await scenario.untilServing();

    assert.equal((await scenario.request('stranger', { path: TOKEN_PATH })).status, 200);
    assert.doesNotMatch(await scenario.vm.exec(['ip', 'rule', 'show']), /proto 169/);
  });

  it('leaves nothing in the routing when all is taken away', async () => {
    await scenario.stopMonitor();
    await scenario.startMonitor();
    await scenario.untilServing();
    assert.match(await scenario.vm.exec(['ip', 'rule', 'show']), /proto 169/);
    await scenario.stopMonitor();

    const { exitCode, stdout } = await scenario.runMonitorCommand('unwire', '--all');

    assert.equal(exitCode, 0, stdout);
    const rules = await scenario.vm.exec(['ip', 'rule', 'show']);
    assert.deepEqual(
      rules
        .trim()
        .split('\n')
        .map(rule => rule.replace(/\s+/g, ' ')),
      ['0: from all lookup local', '32766: from all lookup main', '32767: from all lookup default'],
    );
  });
});
