import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { until } from '../../support/until.ts';

/** A VM whose proxy serves one client, and whose engine tells of nothing that happens from now on. */
async function deafVm() {
  const vm = await MonitoredVm.create();
  const proxy = vm.runProxy();
  await vm.startMonitor();
  const clientId = vm.runClient('client');
  await vm.untilWired('client');
  vm.engine.loseEvents();
  return {
    vm,
    proxy,
    clientId,
    address: vm.addressOf('client'),
    [Symbol.asyncDispose]: async () => {
      await vm[Symbol.asyncDispose]();
    },
  };
}

describe('the monitor, asked who has an address', () => {
  it('confirms the container that still has it', async () => {
    await using scene = await deafVm();
    const { proxy, clientId, address } = scene;
    const result = await proxy.confirm(address);
    assert.ok(result.kind === 'caller');
    assert.equal(result.caller.containerId, clientId);
    assert.equal(result.caller.grant.kind, 'client');
  });

  it('finds the unlabelled container that got the address of a client whose end nobody told', async () => {
    await using scene = await deafVm();
    const { vm, proxy, address } = scene;
    vm.engine.removeContainer('client');
    const id = vm.engine.run({ name: 'thief', address });
    const result = await proxy.confirm(address);
    assert.ok(result.kind === 'caller');
    assert.equal(result.caller.containerId, id);
    assert.equal(result.caller.grant.kind, 'unlabelled');
    assert.equal(proxy.callers.get(address)?.containerId, id);
  });

  it('finds another run of the same container, in the table and in its answer', async () => {
    await using scene = await deafVm();
    const { vm, proxy, clientId, address } = scene;
    vm.engine.restartContainer('client');
    const result = await proxy.confirm(address);
    assert.ok(result.kind === 'caller');
    assert.equal(result.caller.startedAt, vm.engine.state.container(clientId).startedAt);
  });

  it('says that nobody has it, when the container is gone or moved', async () => {
    await using scene = await deafVm();
    const { vm, proxy, address } = scene;
    vm.engine.stopContainer('client');
    assert.deepEqual(await proxy.confirm(address), { kind: 'nobody' });
    assert.ok(!proxy.callers.has(address));
    assert.deepEqual(await proxy.confirm('10.9.9.9'), { kind: 'nobody' });
  });

  it('finds a container whose start nobody told', async () => {
    await using scene = await deafVm();
    const { vm, proxy } = scene;
    const id = vm.runClient('unheard');
    const result = await proxy.confirm(vm.addressOf('unheard'));
    assert.ok(result.kind === 'caller');
    assert.equal(result.caller.containerId, id);
    assert.equal(result.caller.grant.kind, 'client');
    await vm.untilWired('unheard');
  });

  it('finds who got the address on docker_gwbridge of a container that has left its overlay network', async () => {
    await using vm = await MonitoredVm.create();
    vm.engine.state.createNetwork({ name: 'ov', driver: 'overlay' });
    vm.engine.state.createNetwork({ name: 'docker_gwbridge', prefix: '172.18.0' });
    const proxy = vm.runProxy();
    await vm.startMonitor();
    const gateway = vm.engine.state.network('docker_gwbridge').id;
    // It is in the network's own list only.
    vm.engine.tamperInspect = body => {
      const { NetworkSettings: settings } = body as { NetworkSettings: { Networks: object } };
      const others = Object.entries(settings.Networks).filter(([name]) => name !== 'docker_gwbridge');
      return { ...(body as object), NetworkSettings: { ...settings, Networks: Object.fromEntries(others) } };
    };
    vm.runClient('x', { network: 'ov' });
    vm.engine.state.connect('docker_gwbridge', 'x');
    const address = vm.engine.state.container('x').endpoints.get(gateway)!;
    await until('it is known', () => proxy.callers.get(address)?.name === 'x');

    vm.engine.loseEvents();
    const y = vm.engine.run({ name: 'y', network: 'ov' });
    vm.engine.state.disconnect('ov', 'x');
    vm.engine.state.disconnect('docker_gwbridge', 'x');
    vm.engine.state.connect('docker_gwbridge', 'y', address);
    const result = await proxy.confirm(address);
    assert.ok(result.kind === 'caller');
    assert.equal(result.caller.containerId, y);
    assert.equal(result.caller.grant.kind, 'unlabelled');
  });

  it('says that the engine does not answer, while it hangs', async () => {
    await using scene = await deafVm();
    const { vm, proxy, address } = scene;
    vm.engine.hangCalls();
    assert.deepEqual(await proxy.confirm(address), { kind: 'engine-unresponsive' });
    vm.engine.resume();
    assert.equal((await proxy.confirm(address)).kind, 'caller');
  });

  it('says nothing while the engine answers with errors: then the address may have changed hands', async () => {
    await using scene = await deafVm();
    const { vm, proxy, address } = scene;
    vm.engine.failRequests(/^\/containers\//, { status: 500, message: 'no', times: 100 });
    const outcome = await Promise.race([proxy.confirm(address), delay(500, 'nothing')]);
    assert.equal(outcome, 'nothing');
  });

  it('answers many at once', async () => {
    await using scene = await deafVm();
    const { vm, proxy, address } = scene;
    const results = await Promise.all(Array.from({ length: 50 }, async () => await proxy.confirm(address)));
    assert.ok(results.every(({ kind }) => kind === 'caller'));
    await until('the client stays wired', () => vm.client('client')?.state === 'wired');
  });
});
