import assert from 'node:assert/strict';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { until } from '../../support/until.ts';

describe('the monitor, with proxies', () => {
  it('makes their network, connects a proxy that is elsewhere, and has its route moved', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor({ proxySubnet: '172.31.250.0/24' });
    const proxy = vm.runProxy();
    await vm.untilServing('proxy');
    const network = vm.engine.state.network('msi-proxy-net');
    assert.equal(network.options['com.docker.network.bridge.name'], 'msi-proxy0');
    assert.equal(vm.addressOf('proxy', 'msi-proxy-net'), '172.31.250.2');
    assert.deepEqual(proxy.routes, [{ address: '172.31.250.2', gateway: '172.31.250.1' }]);
    await until('it is told that it serves', () => proxy.role === 'serving');
    await until('the rules have the target', () => vm.rules.target?.address === '172.31.250.2');
    assert.equal(vm.rules.target?.port, 80);
    assert.equal(vm.proxyStatus('proxy')?.instanceId, 'instance-of-proxy');
  });

  it('starts the command in a proxy first, and greets it when it knows all containers', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    for (let number = 0; number < 20; number += 1) vm.runClient(`web${number}`);
    await vm.startMonitor();
    await vm.untilServing('proxy');
    const { requests } = vm.engine;
    const opened = requests.findIndex(request => /^POST .*\/exec$/.test(request));
    const lastRead = requests.findLastIndex(request => /^GET \/containers\/[^/]+\/json$/.test(request));
    assert.ok(opened < lastRead, requests.join('\n'));
    const [hello, snapshot] = proxy.messages;
    assert.equal(hello?.type, 'hello');
    assert.ok(snapshot?.type === 'snapshot' && snapshot.callers.length === 20, JSON.stringify(snapshot));
  });

  it('says why a proxy cannot serve, and goes on trying', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const proxy = vm.runProxy();
    proxy.routeProblem = 'no NET_ADMIN';
    await until('the reason shows', () => vm.proxyStatus('proxy')?.reason?.includes('no NET_ADMIN') === true);
    assert.equal(vm.proxyStatus('proxy')?.state, 'unhealthy');
    assert.equal(vm.rules.target, undefined);
    proxy.routeProblem = undefined;
    proxy.endSession();
    await vm.untilServing('proxy');
  });

  it('leaves a proxy that was paused while there was no monitor, and takes it again', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    vm.runProxy();
    await vm.untilServing('proxy');
    await until('the rules have the target', () => vm.rules.target !== undefined);
    await vm.stopMonitor();
    vm.engine.state.setPaused('proxy', true);
    await vm.startMonitor();
    await until('the rules lead nowhere', () => vm.rules.target === undefined);
    assert.equal(vm.proxyStatus('proxy')?.reason, 'it is paused');
    vm.engine.state.setPaused('proxy', false);
    await vm.untilServing('proxy');
    await until('the rules have the target again', () => vm.rules.target !== undefined);
  });

  it('keeps the way to a proxy that it finds, until that serves', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    vm.runProxy();
    await vm.untilServing('proxy');
    await until('the rules have the target', () => vm.rules.target !== undefined);
    const before = vm.rules.switches.length;
    await vm.stopMonitor();
    await vm.startMonitor();
    await vm.untilServing('proxy');
    const { address } = vm.rules.switches[0]!;
    assert.deepEqual(
      vm.rules.switches.slice(before).filter(each => each.address !== address),
      [],
    );
  });

  it('lets one serve and the other stand by, which takes over when the first one dies', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    vm.runProxy('a');
    await vm.untilServing('a');
    const b = vm.runProxy('b');
    vm.runClient('web');
    await vm.untilWired('web');
    await until('b stands by', () => vm.proxyStatus('b')?.state === 'standby' && b.role === 'standby');
    assert.equal(b.callers.get(vm.addressOf('web'))?.name, 'web', 'the one that stands by knows everybody');

    // The event comes late or never: the end of the session is what tells.
    vm.engine.loseEvents();
    vm.engine.stopContainer('a');
    await vm.untilServing('b');
    await until('the packets follow', () => vm.rules.target?.address === vm.addressOf('b', 'msi-proxy-net'));
    assert.equal(vm.rules.switches.at(-1)?.flushFlows, true);
    await until('clients follow', () => vm.wiring.wired.get('web') === vm.addressOf('b', 'msi-proxy-net'));
    assert.equal(b.role, 'serving');
  });

  it('sends clients nowhere while no proxy serves, and to the next one when it comes', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    vm.runProxy('a');
    vm.runClient('web');
    await vm.untilWired('web');
    vm.engine.removeContainer('a');
    await until('nobody serves', () => vm.rules.target === undefined);
    await until('clients wait', () => vm.client('web')?.state === 'pending');
    await until('it is forgotten', () => vm.proxyStatus('a') === undefined);
    vm.engine.run({ name: 'takes the address', network: 'msi-proxy-net' });
    vm.runProxy('b');
    await vm.untilServing('b');
    await vm.untilWired('web');
    assert.notEqual(vm.rules.target?.address, vm.addressOf('takes the address', 'msi-proxy-net'));
  });

  it('follows a proxy that is restarted, in its new run', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const proxy = vm.runProxy('proxy');
    await vm.untilServing('proxy');
    const hellos = () => proxy.messages.filter(({ type }) => type === 'hello').length;
    assert.equal(hellos(), 1);
    vm.engine.restartContainer('proxy');
    await until('there is a new session', () => hellos() === 2);
    await vm.untilServing('proxy');
  });

  it('switches without cutting connections when the proxy says that it stops', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const a = vm.runProxy('a');
    await vm.untilServing('a');
    vm.runProxy('b');
    await until('b stands by', () => vm.proxyStatus('b')?.state === 'standby');
    a.report({ draining: true });
    await vm.untilServing('b');
    assert.equal(vm.rules.switches.at(-1)?.flushFlows, false);
    assert.match(vm.proxyStatus('a')?.reason ?? '', /stopping/);
  });

  it('does not cut the connections of a proxy that stops while a monitor starts', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const a = vm.runProxy('a');
    await vm.untilServing('a');
    const address = vm.addressOf('a', 'msi-proxy-net');
    await vm.stopMonitor();
    a.isDraining = true;
    vm.runProxy('b', { network: 'msi-proxy-net' });
    await vm.startMonitor();
    await vm.untilServing('b');
    await until('the packets follow', () => vm.rules.switches.length === 2);
    assert.notEqual(vm.rules.target?.address, address);
    assert.equal(vm.rules.switches.at(-1)?.flushFlows, false);
  });

  it('sends all clients to the next proxy before any of them is verified', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const a = vm.runProxy('a');
    await vm.untilServing('a');
    const names = Array.from({ length: 12 }, (_, index) => `web-${index}`);
    for (const name of names) vm.runClient(name);
    for (const name of names) await vm.untilWired(name);
    vm.runProxy('b');
    await until('b stands by', () => vm.proxyStatus('b')?.state === 'standby');
    const steps: string[] = [];
    const flushes = new Set<boolean>();
    vm.wiring.redirect = async ({ name }, { address }, { flushFlows }) => {
      await new Promise(resolve => setImmediate(resolve));
      if (name === 'web-3') throw new Error('its namespace is gone');
      steps.push(`redirect ${name}`);
      flushes.add(flushFlows);
      vm.wiring.wired.set(name, address);
    };
    vm.wiring.onApply = ({ name }) => steps.push(`apply ${name}`);

    a.report({ draining: true });
    await vm.untilServing('b');
    await until('all follow', () => steps.filter(step => step.startsWith('apply')).length >= names.length);

    const firstApply = steps.findIndex(step => step.startsWith('apply'));
    assert.deepEqual(
      steps.slice(0, firstApply).toSorted(),
      names
        .filter(name => name !== 'web-3')
        .map(name => `redirect ${name}`)
        .toSorted(),
    );
    assert.deepEqual([...flushes], [false], 'connections to a proxy that leaves may finish');
    const address = vm.addressOf('b', 'msi-proxy-net');
    await until('also the one that failed', () => names.every(name => vm.wiring.wired.get(name) === address));
  });

  it('tells a proxy that it stands by only when clients are sent elsewhere', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const a = vm.runProxy('a');
    await vm.untilServing('a');
    vm.runProxy('b');
    await until('b stands by', () => vm.proxyStatus('b')?.state === 'standby');
    const switching = Promise.withResolvers<undefined>();
    vm.rules.switching = switching.promise.then();
    a.report({ draining: true });
    await vm.untilServing('b');
    await until('b knows', () => vm.proxies.get('b')?.role === 'serving');
    assert.equal(a.role, 'serving');
    switching.resolve(undefined);
    await until('a knows', () => a.role === 'standby');
  });

  it('tells the one that stands by what the serving one keeps, and nothing once that is gone', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const a = vm.runProxy('a');
    await vm.untilServing('a');
    const b = vm.runProxy('b');
    const c = vm.runProxy('c');
    await until('b and c stand by', () => [b, c].every(({ role }) => role === 'standby'));
    assert.equal(b.followed, undefined, 'nobody has said anything');
    const givenTokens = [{ target: '/metadata/identity/oauth2/token?resource=x', sinceMillis: 7 }];

    a.report({ givenTokens });
    await until('b and c know', () => [b, c].every(({ followed }) => followed?.length === 1));
    assert.deepEqual(b.followed, givenTokens);
    vm.engine.stopContainer('a');
    await until('one of them serves', () => [b, c].some(({ role }) => role === 'serving'));
    const other = b.role === 'serving' ? c : b;
    assert.deepEqual(other.followed, givenTokens, 'what is at hand must not be dropped at this moment');
  });

  it('names no tokens to one that stands by before its route leads to IMDS', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const a = vm.runProxy('a');
    await vm.untilServing('a');
    a.report({ givenTokens: [{ target: '/metadata/identity/oauth2/token?resource=x', sinceMillis: 7 }] });
    const b = vm.runProxy('b');
    b.routeProblem = 'no NET_ADMIN';
    await until('b cannot', () => vm.proxyStatus('b')?.reason?.includes('no NET_ADMIN') === true);
    await until('b stands by', () => b.role === 'standby');
    assert.equal(b.followed, undefined);
    b.routeProblem = undefined;
    b.endSession();
    await until('b knows', () => b.followed?.length === 1);
  });

  it('takes another one when the server of a proxy is gone, before its session ends', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const a = vm.runProxy('a');
    await vm.untilServing('a');
    vm.runProxy('b');
    await until('b stands by', () => vm.proxyStatus('b')?.state === 'standby');
    vm.deadServers.add('a');
    await vm.untilServing('b');
    assert.ok(a.isConnected);
    assert.equal(vm.rules.switches.at(-1)?.flushFlows, true);
    assert.match(vm.proxyStatus('a')?.reason ?? '', /accepts no connections/);
  });

  it('has requests held while no proxy serves, and passed on when one does', async () => {
    await using vm = await MonitoredVm.create();
    const calls: string[] = [];
    const standIn = {
      listen: async (address: string) => await Promise.resolve({ address, port: 9181 }),
      setProxy: (proxy: { readonly address: string } | undefined) => {
        if (proxy !== undefined) vm.rules.log.push('pass on');
        calls.push(proxy?.address ?? 'hold');
      },
      stop: async () => {
        await Promise.resolve(calls.push('stop'));
      },
      witnessKey: 'secret',
    };
    await vm.startMonitor({ standIn, proxySubnet: '172.31.250.0/24' });
    await until('the rules know it', () => vm.rules.wanted?.standIn?.address === '172.31.250.1');
    const proxy = vm.runProxy('a', { network: 'msi-proxy-net' });
    await until('the proxy knows where to ask past the engine', () =>
      proxy.messages.some(
        message => message.type === 'witness' && message.address === '172.31.250.1' && message.port === 9181,
      ),
    );
    await until('requests are passed on', () => calls.at(-1) === '172.31.250.2');
    assert.deepEqual(vm.rules.log.slice(-2), ['switch', 'pass on'], 'new connections do not come meanwhile');
    vm.engine.stopContainer('a');
    await until('requests are held', () => calls.at(-1) === 'hold');
    await vm.stopMonitor();
    assert.equal(calls.at(-1), 'stop');
  });

  it('goes on without a stand-in that cannot listen, and tries again', async () => {
    await using vm = await MonitoredVm.create();
    let taken = true;
    const standIn = {
      listen: async (address: string) => {
        await Promise.resolve();
        if (taken) throw new Error('the port is taken');
        return { address, port: 9181 };
      },
      setProxy: () => undefined,
      stop: () => Promise.resolve(),
      witnessKey: 'secret',
    };
    await vm.startMonitor({ standIn, resyncMillis: () => 20 });
    vm.runProxy();
    await vm.untilServing('proxy');
    assert.equal(vm.rules.wanted?.standIn, undefined);
    taken = false;
    await until('it listens', () => vm.rules.wanted?.standIn?.port === 9181);
  });

  it('takes another one while a proxy is paused, and does not go back', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    vm.runProxy('a');
    await vm.untilServing('a');
    vm.runProxy('b');
    await until('b stands by', () => vm.proxyStatus('b')?.state === 'standby');
    vm.engine.state.setPaused('a', true);
    await vm.untilServing('b');
    vm.engine.state.setPaused('a', false);
    await until('a stands by', () => vm.proxyStatus('a')?.state === 'standby');
    assert.equal(vm.proxyStatus('b')?.state, 'serving');
  });

  it('connects a proxy again that was taken off the network', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    vm.runProxy('proxy');
    await vm.untilServing('proxy');
    vm.engine.state.disconnect('msi-proxy-net', 'proxy');
    await until('it is connected again', () => vm.addressOf('proxy', 'msi-proxy-net') !== '');
    await vm.untilServing('proxy');
  });

  for (const [how, isConnectedAgain] of Object.entries({
    'by the monitor': false,
    'by somebody else': true,
  })) {
    it(`has a proxy set its route again that came back to the network with the same address, ${how}`, async () => {
      await using vm = await MonitoredVm.create();
      await vm.startMonitor({ proxySubnet: '172.31.250.0/24' });
      const proxy = vm.runProxy('proxy');
      await vm.untilServing('proxy');
      assert.equal(proxy.routes.length, 1);

      vm.engine.state.disconnect('msi-proxy-net', 'proxy');
      if (isConnectedAgain) vm.engine.state.connect('msi-proxy-net', 'proxy');

      await until('its route is set again', () => proxy.routes.length === 2);
      const [before, after] = proxy.routes;
      assert.deepEqual(after, before);
      await vm.untilServing('proxy');
    });
  }

  it('opens another session when one ends, at any moment', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const proxy = vm.runProxy('proxy');
    for (const type of ['hello', 'snapshot', 'set-route'] as const) {
      await vm.untilServing('proxy');
      const before = proxy.messages.length;
      const isBack = () => proxy.messages.slice(before).some(message => message.type === type);
      proxy.endSession();
      await until(`the next ${type} is there`, isBack);
      proxy.endSession();
    }
    await vm.untilServing('proxy');
  });

  it('shows what the proxies counted', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const proxy = vm.runProxy();
    const containerId = vm.runClient('web');
    await vm.untilWired('web');
    assert.equal(vm.client('web')?.traffic, undefined);
    const lastRefusal = { at: '2026-02-03T04:05:06.000Z', reason: 'identity' };
    const counts = { requests: 3, refusals: 1, lastRefusal };
    proxy.report({ callers: [{ containerId, ...counts }] });
    await until('the counts show', () => vm.client('web')?.traffic?.requests === 3);
    assert.deepEqual(vm.client('web')?.traffic, counts);
  });

  it('shows which tokens the serving proxy keeps, and who has them, when asked to look', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const proxy = vm.runProxy();
    const containerId = vm.runClient('web');
    await vm.untilWired('web');
    assert.deepEqual(Object.keys(vm.status).includes('tokens'), false);
    const times = { ageSeconds: 1, expiresAt: '2036-02-03T04:05:06.000Z' };
    const resource = 'https://vault.azure.net';
    proxy.tokens = [{ id: 5, identity: 'system', resource, hits: 2, ...times, containerIds: [containerId] }];
    await vm.refreshTokens();
    assert.deepEqual(vm.client('web')?.tokens, [5]);
    const [token] = vm.status.tokens ?? [];
    assert.deepEqual([token?.id, token?.identity, token?.resource, token?.hits], [5, 'system', resource, 2]);
    proxy.endSession();
    await until('nobody tells any more', () => vm.status.tokens === undefined);
  });

  it('leaves rules and wiring in place when it stops, and finds its way when it starts again', async () => {
    await using vm = await MonitoredVm.create();
    await vm.startMonitor();
    const proxy = vm.runProxy();
    vm.runClient('web');
    await vm.untilWired('web');
    const target = vm.rules.target;
    await vm.stopMonitor();
    assert.deepEqual(vm.rules.target, target);
    assert.deepEqual(vm.wiring.removed, []);
    await until('the session is closed', () => !proxy.isConnected);
    vm.runClient('meanwhile');
    await vm.startMonitor();
    await vm.untilWired('meanwhile');
    await vm.untilWired('web');
  });
});
