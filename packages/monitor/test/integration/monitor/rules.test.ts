import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { until } from '../../support/until.ts';

const LOOK_MILLIS = 10_000;

describe('the monitor, with packet rules that others change', () => {
  it('mends them when networks change, and counts it', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    await vm.startMonitor();
    await vm.untilServing('proxy');
    assert.equal(vm.status.guard.repairs, 0);
    vm.rules.differences = ['the table ip msi_proxy is missing'];
    vm.engine.state.createNetwork({ name: 'another' });
    await until('it is counted', () => vm.status.guard.repairs === 1);
    const { state, lastRepair } = vm.status.guard;
    assert.equal(state, 'in-place');
    assert.deepEqual(lastRepair?.differences, ['the table ip msi_proxy is missing']);
    assert.ok(vm.status.events.some(({ message }) => message.includes('rules of the VM had changed')));
  });

  it('confirms addresses before they are in place, and wires nobody until then', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    vm.runClient('web');
    const ensured = Promise.withResolvers<undefined>();
    vm.rules.ensuring = ensured.promise;

    const started = vm.startMonitor();
    await until('the table arrives', () => proxy.callers.has(vm.addressOf('web')));
    assert.equal((await proxy.confirm(vm.addressOf('web'))).kind, 'caller');
    assert.deepEqual(vm.rules.log, []);
    assert.equal(vm.wiring.wired.size, 0);

    ensured.resolve(undefined);
    await started;
    await vm.untilWired('web');
  });

  it('never shuts out a proxy because a container comes while everything is read', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    for (let number = 0; number < 12; number += 1) vm.runClient(`web${number}`);
    await vm.startMonitor();
    await vm.untilServing('proxy');
    await vm.stopMonitor();
    vm.rules.allWanted.length = 0;
    vm.engine.requests.length = 0;

    await vm.startMonitor();
    await until('it reads networks', () => vm.engine.requests.includes('GET /networks/msi-proxy-net'));
    vm.runClient('newcomer');
    await vm.untilWired('newcomer');

    const address = vm.addressOf('proxy', 'msi-proxy-net');
    const told = vm.rules.allWanted.flatMap(({ proxyAddresses }) =>
      proxyAddresses === undefined ? [] : [proxyAddresses],
    );
    assert.ok(told.length > 0);
    assert.ok(
      told.every(addresses => addresses.includes(address)),
      JSON.stringify(told),
    );
  });

  it('mends them within ten seconds also when nothing tells of it', async () => {
    const clock = new FakeClock(new Date().toISOString());
    await using vm = await MonitoredVm.create({ clock, running: false });
    await vm.startMonitor();
    vm.rules.differences = ['the table ip msi_proxy is missing'];
    await clock.advance(LOOK_MILLIS);
    await until('it is counted', () => vm.status.guard.repairs === 1);
    assert.deepEqual(vm.rules.differences, []);
  });

  it('names whom the guard stopped, once, and goes on counting', async () => {
    const clock = new FakeClock(new Date().toISOString());
    await using vm = await MonitoredVm.create({ clock });
    const id = vm.engine.run({ name: 'sneaky' });
    const address = vm.addressOf('sneaky');
    await vm.startMonitor();
    await until('it was read', () => vm.status.engine.lastSyncAt !== undefined);
    const told = () =>
      vm.status.events.filter(({ message }) => message.includes('stopped container "sneaky"'));
    for (const packets of [2, 5]) {
      vm.rules.stopped = new Map([[address, packets]]);
      await clock.advance(LOOK_MILLIS);
      await until('it is counted', () => vm.status.guard.stopped[0]?.attempts === packets);
    }
    assert.deepEqual(
      vm.status.guard.stopped.map(({ name, containerId }) => [name, containerId]),
      [['sneaky', id]],
    );
    assert.equal(told().length, 1);
    assert.equal(told()[0]?.containerId, id);
  });

  it('lets audit stop nobody: containers without the label are not sent to the proxy', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    vm.engine.run({ name: 'bystander' });
    vm.runClient('misspelt', { labels: { 'com.msi-proxy.identty': 'system' } });
    await vm.startMonitor({ guard: 'audit' });
    vm.runClient('web');
    await vm.untilWired('web');
    await until('only the first one is spared', () => vm.rules.wanted?.bystanders?.length === 1);
    assert.deepEqual(vm.rules.wanted?.bystanders, [vm.addressOf('bystander')]);
    vm.engine.removeContainer('bystander');
    await until('nobody is', () => vm.rules.wanted?.bystanders?.length === 0);
  });

  it('sends all containers to the proxy when it enforces', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    vm.engine.run({ name: 'bystander' });
    await vm.startMonitor();
    await vm.untilServing('proxy');
    assert.equal(vm.rules.wanted?.bystanders, undefined);
  });
});
