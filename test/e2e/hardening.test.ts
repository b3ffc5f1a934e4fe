import assert from 'node:assert/strict';
import { tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };

/** What docs/security.md recommends: nothing of the image can be changed, and no right is left that is not needed. */
const HARDENED = [
  ...['--read-only', '--tmpfs', '/run', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
  ...['--pids-limit', '64', '--memory', '256m'],
];
/** To set its route, and to give up root. */
const PROXY_RIGHTS = ['--cap-add', 'NET_ADMIN', '--cap-add', 'SETUID', '--cap-add', 'SETGID'];

describe('with all hardening that the engine offers', () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.startMonitorContainer({ extra: HARDENED });
    await scenario.startProxy({ extra: [...HARDENED, ...PROXY_RIGHTS] });
    await scenario.untilServing();
    await scenario.startClient({ name: 'client' });
    await scenario.untilWired('client');
  });
  after(() => scenario[Symbol.asyncDispose]());

  it('monitor and proxy do their work', async () => {
    assert.equal((await scenario.request('client', TOKEN)).status, 200);
    await scenario.untilHealthy('proxy');
    await scenario.untilHealthy('monitor');
  });

  it('a client is served while the engine hangs, also when a network interface has gone meanwhile', async () => {
    const { vm } = scenario;
    await vm.exec(['ip', 'link', 'add', 'gone', 'type', 'veth', 'peer', 'name', 'gone-too']);
    const ask = await scenario.requesterIn('client');
    assert.equal((await ask(TOKEN)).status, 200);
    vm.engine.freeze();
    try {
      await vm.exec(['ip', 'link', 'delete', 'gone']);
      const { status, body } = await ask({ ...TOKEN, timeoutSeconds: 20 });
      assert.equal(status, 200, body);
    } finally {
      vm.engine.unfreeze();
    }
    await scenario.untilStatus('the engine to answer', ({ engine }) => engine.state === 'connected');
  });

  it('they come back after a restart', async () => {
    await scenario.docker('restart', '--time', '10', 'proxy', 'monitor');
    await scenario.untilServing();
    assert.equal((await scenario.request('client', { ...TOKEN, timeoutSeconds: 30 })).status, 200);
  });

  it('nobody can write to their files', async () => {
    for (const name of ['proxy', 'monitor']) {
      const { exitCode, stderr } = await scenario.vm.engine.run(['exec', name, 'touch', '/usr/local/x']);
      assert.notEqual(exitCode, 0);
      assert.match(stderr, /Read-only file system/);
    }
  });

  it('the server of the proxy has no right left, and cannot get one', async () => {
    const status = await scenario.docker('exec', 'proxy', 'cat', '/proc/1/status');
    const value = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
    assert.equal(value('Uid')?.split(/\s+/)[0], '65532');
    for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb']) {
      assert.equal(Number(`0x${value(set)}`), 0, set);
    }
    assert.equal(value('NoNewPrivs'), '1');
  });
});
