import assert from 'node:assert/strict';
import { tokenPath, waitUntil } from '../lab/index.ts';
import { BootedSystemd } from './support/booted-systemd.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };

/** Of CapabilityBoundingSet=CAP_NET_ADMIN, see linux/capability.h. */
const NET_ADMIN_ONLY = 1 << 12;

describe('as units of systemd', () => {
  let scenario: Scenario;
  let systemd: BootedSystemd;

  before(async function () {
    this.timeout(15 * 60_000); // to make the Debian that it boots, once
    scenario = await Scenario.start({ wiring: 'host' });
    systemd = await BootedSystemd.start(scenario.vm);
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function mustControl(...args: string[]): Promise<void> {
    const { exitCode, stderr } = await systemd.control(...args);
    assert.equal(exitCode, 0, `${stderr}${await systemd.journal('msi-monitor')}`);
  }

  it('the monitor has the guard in place when its start is over', async () => {
    await mustControl('start', 'msi-monitor');
    assert.match(await scenario.vm.exec(['nft', 'list', 'tables']), /msi_proxy/);
    assert.equal(await systemd.property('msi-monitor', 'ActiveState'), 'active');
  });

  it('the proxy serves, and a client gets its token', async () => {
    await mustControl('start', 'msi-proxy');
    await scenario.untilServing('msi-proxy');
    await scenario.startClient({ name: 'client' });
    await scenario.untilWired('client');
    assert.equal((await scenario.request('client', TOKEN)).status, 200);
  });

  it('the monitor has the right to set packet rules, and no other', async () => {
    const pid = await systemd.property('msi-monitor', 'MainPID');
    const { stdout } = await systemd.run(['cat', `/proc/${pid}/status`]);
    const value = (name: string) => new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(stdout)?.[1];
    for (const set of ['CapBnd', 'CapPrm', 'CapEff']) {
      assert.equal(Number(`0x${value(set)}`), NET_ADMIN_ONLY, set);
    }
    assert.equal(value('NoNewPrivs'), '1');
    assert.equal(value('Seccomp'), '2');
    const { exitCode, stderr } = await systemd.run([
      'nsenter',
      `--target=${pid}`,
      '--mount',
      'touch',
      '/usr/x',
    ]);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /Read-only file system/);
  });

  it('the monitor sees processes that have more rights, which vouch for containers', async () => {
    await systemd.extend(
      'msi-monitor',
      '[Service]\nExecStartPost=/bin/cat /proc/1/stat /proc/1/net/fib_trie\n',
    );
    await mustControl('restart', 'msi-monitor');
    await scenario.untilServing('msi-proxy');
  });

  it('a proxy that goes on while its unit does not know is found again', async () => {
    const started = await scenario.docker('inspect', '--format', '{{.State.StartedAt}}', 'msi-proxy');
    await mustControl('kill', '--signal', 'KILL', 'msi-proxy');
    await waitUntil(async () => (await systemd.property('msi-proxy', 'NRestarts')) === '1', {
      what: 'the unit of the proxy to be started again',
      timeoutMillis: 30_000,
    });
    await waitUntil(async () => (await systemd.property('msi-proxy', 'ActiveState')) === 'active', {
      what: 'the unit of the proxy to be active',
      timeoutMillis: 30_000,
    });
    assert.equal(await scenario.docker('inspect', '--format', '{{.State.StartedAt}}', 'msi-proxy'), started);
    assert.equal((await scenario.request('client', TOKEN)).status, 200);
  });

  it('a monitor that hangs is started again', async () => {
    await systemd.extend('msi-monitor', '[Service]\nWatchdogSec=5\n');
    await mustControl('restart', 'msi-monitor');
    await scenario.untilServing('msi-proxy');
    const hung = await systemd.property('msi-monitor', 'MainPID');
    await systemd.run(['kill', '-STOP', hung]);
    await waitUntil(async () => (await systemd.property('msi-monitor', 'NRestarts')) === '1', {
      what: 'the monitor to be started again',
      timeoutMillis: 60_000,
      intervalMillis: 200,
    });
    await scenario.untilServing('msi-proxy');
    assert.notEqual(await systemd.property('msi-monitor', 'MainPID'), hung);
    assert.match(await systemd.journal('msi-monitor'), /Watchdog timeout/);
  });

  it('the monitor reads its settings again when it is reloaded', async () => {
    await mustControl('reload', 'msi-monitor');
    await waitUntil(async () => (await systemd.journal('msi-monitor')).includes('Settings were read again'), {
      what: 'the monitor to read its settings',
    });
    assert.equal(await systemd.property('msi-monitor', 'ActiveState'), 'active');
  });

  it('what is stopped ends in order, and leaves the guard in place', async () => {
    await mustControl('stop', 'msi-proxy', 'msi-monitor');
    for (const unit of ['msi-proxy', 'msi-monitor']) {
      assert.equal(await systemd.property(unit, 'Result'), 'success', unit);
    }
    assert.match(await scenario.vm.exec(['nft', 'list', 'tables']), /msi_proxy/);
  });

  it('a monitor with settings that cannot be used is not started again and again', async () => {
    await systemd.configure('msi-monitor', { MSI_MONITOR_WIRING: 'by-magic' });
    assert.notEqual((await systemd.control('start', 'msi-monitor')).exitCode, 0);
    assert.equal(await systemd.property('msi-monitor', 'ActiveState'), 'failed');
    assert.equal(await systemd.property('msi-monitor', 'ExecMainStatus'), '78');
  });
});
