import assert from 'node:assert/strict';
import { silentLogger, systemClock } from '@msi-proxy/shared';
import { createEngineClient } from '../../../src/docker/index.ts';
import { createNoVmRules } from '../../../src/guard/no-vm-rules.ts';
import type { ReconcilerOptions } from '../../../src/reconcile/reconciler.ts';
import { createPortproxyWiring } from '../../../src/wiring/portproxy/portproxy.ts';
import { createWiringSelector } from '../../../src/wiring/select.ts';
import { FakeWindowsContainers } from '../../support/fake-windows-containers.ts';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { until } from '../../support/until.ts';

describe('the monitor, with Windows clients', () => {
  let windows: FakeWindowsContainers;

  beforeEach(() => {
    windows = new FakeWindowsContainers();
  });

  async function windowsVm(): Promise<MonitoredVm> {
    const vm = await MonitoredVm.create();
    const { onExec } = vm.engine;
    vm.engine.onExec = process => {
      if (!windows.accept(process)) onExec(process);
    };
    return vm;
  }

  async function startMonitor(vm: MonitoredVm, options: Partial<ReconcilerOptions> = {}): Promise<void> {
    const engine = createEngineClient({ dockerHost: vm.engine.host, logger: silentLogger });
    const portproxy = createPortproxyWiring({ engine, clock: systemClock });
    await vm.startMonitor({
      containerOs: 'windows',
      selector: createWiringSelector({ methods: [vm.wiring, portproxy], setting: 'portproxy' }),
      redirect: false,
      rules: createNoVmRules('there are none on Windows'),
      ...options,
    });
  }

  it('wires them with one command each, and says that there is no guard', async () => {
    await using vm = await windowsVm();
    vm.runProxy();
    const ids = ['one', 'two', 'three'].map(name => vm.runClient(name));
    await startMonitor(vm);
    for (const name of ['one', 'two', 'three']) await vm.untilWired(name);
    assert.deepEqual(new Set(windows.forwarding.keys()), new Set(ids));
    assert.equal(windows.scripts.length, ids.length);
    assert.equal(vm.client('one')?.method, 'portproxy');
    assert.equal(vm.status.guard.state, 'unavailable');
    assert.match(vm.status.guard.reason ?? '', /none on Windows/);
  });

  it('starts the control command of a Windows proxy by the command interpreter, as administrator', async () => {
    await using vm = await windowsVm();
    const { onExec } = vm.engine;
    const commands: string[] = [];
    vm.engine.onExec = process => {
      if (process.argv.join(' ').endsWith('control'))
        commands.push(`${process.user}: ${process.argv.join(' ')}`);
      onExec(process);
    };
    vm.runProxy('proxy', { platform: 'windows' });
    await startMonitor(vm, { containerOs: 'auto' });
    await vm.untilServing('proxy');
    assert.deepEqual(commands, ['ContainerAdministrator: cmd /d /s /c msi-proxy control']);
    vm.runClient('app', { platform: 'windows' });
    await vm.untilWired('app');
    assert.equal(vm.client('app')?.method, 'portproxy');
  });

  it('wires a client again that was restarted, since its address is gone', async () => {
    await using vm = await windowsVm();
    vm.runProxy();
    const id = vm.runClient('app');
    await startMonitor(vm);
    await vm.untilWired('app');
    windows.forwarding.delete(id);
    vm.engine.restartContainer('app');
    await until('it is wired again', () => windows.forwarding.has(id) && vm.client('app')?.state === 'wired');
  });

  it('mends at the next resync what was changed in a container', async () => {
    await using vm = await windowsVm();
    vm.runProxy();
    const id = vm.runClient('app');
    await startMonitor(vm, { resyncMillis: () => 100 });
    await vm.untilWired('app');
    windows.forwarding.delete(id);
    await until('it is mended', () => windows.forwarding.has(id));
  });

  for (const suffices of [true, false]) {
    const how = suffices ? 'without PowerShell where the rule alone does' : 'with all that it takes';
    it(`sends clients to another proxy ${how}, and says so meanwhile`, async () => {
      await using vm = await windowsVm();
      vm.runProxy('first');
      const id = vm.runClient('app');
      await startMonitor(vm);
      await vm.untilWired('app');
      const states: string[] = [];
      windows.onScript = () => {
        const { state, reason } = vm.client('app') ?? {};
        states.push(`${state ?? ''}: ${reason ?? ''}`);
      };
      windows.retarget = proxyAddress =>
        suffices ? { proxyAddress, instanceId: 'instance-of-second' } : undefined;
      vm.runProxy('second');
      await until('the other stands by', () => vm.proxyStatus('second')?.state === 'standby');
      vm.engine.stopContainer('first', { remove: true });
      await vm.untilServing('second');
      await until('it follows', () => windows.forwarding.get(id)?.instanceId === 'instance-of-second');
      await vm.untilWired('app');
      assert.equal(windows.forwarding.get(id)?.proxyAddress, vm.addressOf('second'));
      assert.ok(states.includes('pending: the proxy has changed'), states.join());
      assert.equal(windows.scripts.length, suffices ? 1 : 2);
    });
  }

  it('starts no PowerShell at a resync or after its own restart where requests are answered', async () => {
    await using vm = await windowsVm();
    vm.runProxy();
    vm.runClient('app');
    await startMonitor(vm, { resyncMillis: () => 50 });
    await vm.untilWired('app');
    await until('several resyncs are over', () => windows.asked >= 3);
    await vm.stopMonitor();
    const asked = windows.asked;
    await startMonitor(vm);
    await vm.untilWired('app');
    assert.equal(windows.asked, asked + 1);
    assert.equal(windows.scripts.length, 1);
  });

  it('refuses what a container cannot have, with the reason, and wires it when it can', async () => {
    await using vm = await windowsVm();
    vm.runProxy();
    windows.report = {
      user: 'ContainerUser',
      failedStep: 'dad',
      failureId: 'Windows System Error 5,Set-NetIPInterface',
    };
    vm.runClient('app');
    await startMonitor(vm);
    await until('it is refused', () => vm.client('app')?.state === 'refused');
    assert.match(vm.client('app')?.reason ?? '', /without the rights of ContainerAdministrator/);
    windows.report = {};
    await vm.untilWired('app');
  });

  it('leaves paused containers alone until they are unpaused', async () => {
    await using vm = await windowsVm();
    vm.runProxy();
    vm.runClient('app');
    vm.engine.state.setPaused('app', true);
    await startMonitor(vm);
    await vm.untilServing('proxy');
    await until('it is refused', () => vm.client('app')?.reason?.includes('paused') === true);
    assert.deepEqual(windows.scripts, []);
    vm.engine.state.setPaused('app', false);
    await vm.untilWired('app');
  });

  it('takes the wiring away from a container that may not have it any more', async () => {
    await using vm = await windowsVm();
    vm.runProxy();
    const id = vm.runClient('app');
    await startMonitor(vm);
    await vm.untilWired('app');
    vm.engine.run({ name: 'stranger', network: `container:${id}` });
    await until('it is taken away', () => !windows.forwarding.has(id));
    assert.equal(vm.client('app')?.state, 'refused');
  });
});
