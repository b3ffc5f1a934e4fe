import assert from 'node:assert/strict';
import { IDENTITY_LABEL, PROXY_LABEL } from '@msi-proxy/shared';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { until } from '../../support/until.ts';

describe('the monitor, with clients', () => {
  it('puts the guard in place before it looks at any container', async () => {
    await using vm = await MonitoredVm.create();
    vm.runClient('web');
    vm.rules.ensure = async () => {
      assert.deepEqual(vm.engine.requests, []);
      return await Promise.resolve('applied');
    };
    await vm.startMonitor();
    await until('containers are read', () => vm.client('web') !== undefined);
  });

  it('wires clients that ran before it and those that start later', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    vm.runClient('early');
    const millis = Date.now();
    await until('the monitor starts later than the client', () => Date.now() > millis);
    await vm.startMonitor();
    await vm.untilWired('early');
    vm.runClient('late', { labels: { [IDENTITY_LABEL]: 'system' } });
    await vm.untilWired('late');

    assert.equal(vm.wiring.wired.get('early'), vm.addressOf('proxy', 'msi-proxy-net'));
    assert.equal(vm.wiring.wired.get('late'), vm.addressOf('proxy', 'msi-proxy-net'));
    const late = vm.client('late');
    assert.deepEqual(late?.addresses, [vm.addressOf('late')]);
    assert.equal(late.method, 'host');
    assert.equal(late.policy?.identity, 'system');
    assert.ok((late.wiredAfterMillis ?? -1) >= 0);
    assert.equal(vm.client('early')?.wiredAfterMillis, undefined);
    assert.equal(proxy.callers.get(vm.addressOf('late'))?.grant.kind, 'client');
  });

  it('wires clients that start before there is a proxy, once there is one', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    vm.runClient('web');
    await until('the client is seen', () => vm.client('web')?.state === 'pending');
    assert.match(vm.client('web')?.reason ?? '', /no proxy/);
    vm.runProxy();
    await vm.untilWired('web');
  });

  it('wires twenty that start at once, each once at a time', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    await vm.startMonitor();
    await vm.untilServing('proxy');
    const names = Array.from({ length: 20 }, (_, index) => `c${index}`);
    for (const name of names) vm.runClient(name);
    for (const name of names) await vm.untilWired(name);
    assert.ok(vm.wiring.peak > 1, 'several are wired at a time');
    assert.equal(vm.wiring.overlapped, false);
  });

  it('tells the proxy of every container before its wiring counts as done', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    await vm.untilServing('proxy');
    vm.wiring.onApply = ({ name }) => {
      assert.equal(proxy.callers.get(vm.addressOf(name))?.name, name);
    };
    proxy.holdsAcknowledgements = true;
    vm.runClient('web');
    vm.engine.run({ name: 'stranger' });
    await until('the proxy is told', () => proxy.callers.get(vm.addressOf('stranger')) !== undefined);
    assert.equal(vm.client('web')?.state, 'pending');
    proxy.releaseAcknowledgements();
    await vm.untilWired('web');
    assert.equal(proxy.callers.get(vm.addressOf('stranger'))?.grant.kind, 'unlabelled');
    assert.equal(vm.client('stranger'), undefined);
  });

  it('tells the proxy of a new container without reading the others again', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    for (let count = 0; count < 5; count += 1) vm.engine.run({ name: `other${count}` });
    await vm.startMonitor();
    await vm.untilServing('proxy');
    await until('it is quiet', () => proxy.callers.size >= 5);
    vm.engine.requests.length = 0;
    const id = vm.runClient('web');
    await until('the proxy is told', () => proxy.callers.has(vm.addressOf('web')));
    const readings = vm.engine.requests.filter(request => request.startsWith('GET /containers/'));
    assert.ok(
      readings.every(request => request.includes(id)),
      readings.join(),
    );
  });

  it('follows a restart of the same container, with its new start time', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    const id = vm.runClient('web');
    await vm.untilWired('web');
    const applications = vm.wiring.applications.get('web') ?? 0;
    vm.engine.restartContainer('web');
    const { startedAt } = vm.engine.state.container(id);
    await until('the new run is wired', () => {
      const client = vm.client('web');
      return client?.startedAt === startedAt && client.state === 'wired';
    });
    assert.ok((vm.wiring.applications.get('web') ?? 0) > applications, 'its namespace is another one');
    await until('the proxy is told', () => proxy.callers.get(vm.addressOf('web'))?.startedAt === startedAt);
  });

  it('forgets clients that stop or are removed, and keeps paused ones', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    for (const name of ['stops', 'removed', 'pauses']) vm.runClient(name);
    for (const name of ['stops', 'removed', 'pauses']) await vm.untilWired(name);
    const addresses = ['stops', 'removed'].map(name => vm.addressOf(name));
    vm.engine.stopContainer('stops');
    vm.engine.removeContainer('removed');
    vm.engine.state.setPaused('pauses', true);
    await until('they are forgotten', () => addresses.every(address => !proxy.callers.has(address)));
    assert.equal(vm.client('stops'), undefined);
    assert.equal(vm.client('removed'), undefined);
    assert.equal(vm.client('pauses')?.state, 'wired');
    assert.ok(proxy.callers.has(vm.addressOf('pauses')));
  });

  it('follows connecting, disconnecting and renaming', async () => {
    await using vm = await MonitoredVm.create();
    vm.engine.state.createNetwork({ name: 'second', prefix: '10.2.0' });
    const proxy = vm.runProxy();
    await vm.startMonitor();
    vm.runClient('web');
    await vm.untilWired('web');
    vm.engine.state.connect('second', 'web');
    await until('the second address is known', () => proxy.callers.has('10.2.0.2'));
    await until('it is in the status', () => vm.client('web')?.addresses.length === 2);
    vm.engine.state.rename('web', 'renamed');
    await until('the name is known', () => proxy.callers.get('10.2.0.2')?.name === 'renamed');
    vm.engine.state.disconnect('second', 'renamed');
    await until('the address is gone', () => !proxy.callers.has('10.2.0.2'));
    await vm.untilWired('renamed');
  });

  it('gives an address that changes hands to nobody in between', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    vm.runClient('first');
    await vm.untilWired('first');
    const address = vm.addressOf('first');
    vm.engine.removeContainer('first');
    const id = vm.engine.run({ name: 'next', address });
    await until('the next one is known', () => proxy.callers.get(address)?.containerId === id);
    assert.equal(proxy.callers.get(address)?.grant.kind, 'unlabelled');
  });

  it('lets malformed labels refuse only their own container, and says what is wrong', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    vm.runClient('bad', { labels: { [IDENTITY_LABEL]: 'not an identity', 'com.msi-proxy.identitty': 'x' } });
    vm.runClient('both', { labels: { [PROXY_LABEL]: '' } });
    vm.runClient('hostile', { labels: { [IDENTITY_LABEL]: `$(reboot)\u001b[2J${'x'.repeat(70_000)}` } });
    vm.runClient('good');
    await vm.untilWired('good');
    const reason = vm.client('bad')?.reason ?? '';
    assert.equal(vm.client('bad')?.state, 'refused');
    assert.match(reason, /com\.msi-proxy\.identity is "not an identity": expected/);
    assert.match(reason, /com\.msi-proxy\.identitty/);
    assert.match(vm.client('both')?.reason ?? '', /both labels/);
    assert.doesNotMatch(vm.client('hostile')?.reason ?? '', /\u001b/);
    assert.ok((vm.client('hostile')?.reason ?? '').length < 1_000);
    await until('the proxy is told', () => proxy.callers.get(vm.addressOf('bad'))?.grant.kind === 'refused');
    assert.equal(vm.proxyStatus('proxy')?.state, 'serving');
    assert.deepEqual([...vm.wiring.wired.keys()], ['good']);
  });

  it('refuses what shares the VM’s network or has none, and says why', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    vm.runClient('on-host', { network: 'host' });
    vm.runClient('on-none', { network: 'none' });
    vm.runClient('good');
    await vm.untilWired('good');
    assert.equal(vm.client('on-host')?.state, 'refused');
    assert.match(vm.client('on-host')?.reason ?? '', /VM's own network/);
    assert.equal(vm.client('on-none')?.state, 'refused');
    assert.ok(!proxy.callers.has(''));
  });

  it('gives sharers of a namespace what each of them may have, and wires it once', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    const owner = vm.runClient('owner', { labels: { 'com.msi-proxy.endpoints': 'token,instance' } });
    const sharer = vm.runClient('sharer', {
      network: `container:${owner}`,
      labels: { 'com.msi-proxy.endpoints': 'token' },
    });
    vm.runClient('third', { network: `container:${sharer}` });
    for (const name of ['owner', 'sharer', 'third']) await vm.untilWired(name);
    const address = vm.addressOf('owner');
    await until('the strictest is told', () => {
      const grant = proxy.callers.get(address)?.grant;
      return grant?.kind === 'client' && grant.policy.endpoints.join() === 'token';
    });
    assert.deepEqual([...vm.wiring.wired.keys()], ['owner']);

    vm.engine.run({ name: 'stranger', network: `container:${owner}` });
    await until('the stranger is seen', () => vm.client('owner')?.state === 'refused');
    assert.match(vm.client('sharer')?.reason ?? '', /"stranger"/);
    await until('the proxy is told', () => proxy.callers.get(address)?.grant.kind === 'refused');
    vm.engine.removeContainer('stranger');
    await vm.untilWired('owner');
  });

  it('sees the sharer that joined a client by its name before there was one', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    const side = vm.engine.state.createContainer({ name: 'side', network: 'container:web' });
    vm.runClient('web');
    await vm.untilWired('web');
    vm.engine.state.start(side);
    await until('it is seen', () => vm.client('web')?.state === 'refused');
    assert.match(vm.client('web')?.reason ?? '', /"side"/);
    const address = vm.addressOf('web');
    await until('the proxy is told', () => proxy.callers.get(address)?.grant.kind === 'refused');
  });

  it('refuses an address that two namespaces claim', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    vm.runClient('one', { address: '172.17.0.9' });
    await vm.untilWired('one');
    vm.runClient('two', { address: '172.17.0.9' });
    await until('both are refused', () => ['one', 'two'].every(name => vm.client(name)?.state === 'refused'));
    await until('the proxy is told', () => proxy.callers.get('172.17.0.9')?.grant.kind === 'refused');
    vm.engine.removeContainer('two');
    await vm.untilWired('one');
  });

  it('tries again what fails, without disturbing the others', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    await vm.startMonitor();
    vm.wiring.failing.add('bad');
    vm.wiring.unsuitable.add('odd');
    for (const name of ['bad', 'odd', 'good']) vm.runClient(name);
    await vm.untilWired('good');
    await until('the failure shows', () => vm.client('bad')?.state === 'failed');
    assert.match(vm.client('bad')?.reason ?? '', /nft said no/);
    await until('the refusal shows', () => vm.client('odd')?.state === 'refused');
    assert.match(vm.client('odd')?.reason ?? '', /host: the test says so/);
    vm.wiring.failing.delete('bad');
    await vm.untilWired('bad');
  });
});
