import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, silentLogger } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { createEngineClient } from '../../../src/docker/index.ts';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { PassingTime } from '../../support/passing-time.ts';
import { until } from '../../support/until.ts';

/** A VM that proxy `a` serves, on a clock that can be made to run fast. */
async function servedVm() {
  const clock = new FakeClock(new Date().toISOString());
  const vm = await MonitoredVm.create({ clock });
  const time = new PassingTime(clock);
  const a = vm.runProxy('a');
  await vm.startMonitor();
  await vm.untilServing('a');
  return {
    vm,
    clock,
    time,
    a,
    [Symbol.asyncDispose]: async () => {
      await time[Symbol.asyncDispose]();
      await vm[Symbol.asyncDispose]();
    },
  };
}

describe('the monitor, with an engine that fails', () => {
  it('finds at the resync what events did not tell', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor({ resyncMillis: () => 200 });
    vm.runClient('leaves');
    await vm.untilWired('leaves');
    const address = vm.addressOf('leaves');
    vm.engine.loseEvents();
    vm.engine.removeContainer('leaves');
    vm.runClient('comes');
    await vm.untilWired('comes');
    await until('the other one is gone', () => vm.client('leaves') === undefined);
    const owner = proxy.callers.get(address);
    assert.ok(owner === undefined || owner.name === 'comes');
  });

  it('says what went wrong when a resync fails, so that it can be counted', async () => {
    await using vm = await MonitoredVm.create();
    const failures: unknown[] = [];
    const logger = {
      ...silentLogger,
      warn: (message: string, fields?: { readonly err?: unknown }) => {
        if (message === 'Reading everything anew failed') failures.push(codeOf(fields?.err));
      },
    };
    await vm.startMonitor({ resyncMillis: () => 50, logger });
    await until('the engine is followed', () => vm.status.engine.lastSyncAt !== undefined);
    vm.engine.failRequests(/networks/, { status: 500, message: 'no such thing today' });
    await until('the failure is told', () => failures.length > 0);
    assert.deepEqual(failures, ['MSI_ENGINE_REQUEST']);
  });

  it('does the same with doubled and cut events as with whole ones', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    vm.engine.doubleEvents();
    vm.engine.splitsEvents = true;
    await vm.startMonitor();
    await vm.untilServing('proxy');
    vm.runClient('web', { labels: { text: 'ü€😀' } });
    await vm.untilWired('web');
    vm.engine.restartContainer('web');
    const { startedAt } = vm.engine.state.container('web');
    await until('the new run is known', () => vm.client('web')?.startedAt === startedAt);
    await vm.untilWired('web');
    assert.equal(vm.wiring.overlapped, false);
  });

  it('does not stand in again when it is stopped in the midst of reading everything', async () => {
    await using vm = await MonitoredVm.create();
    const log: string[] = [];
    const standIn = {
      witnessKey: 'k',
      listen: (address: string) => {
        log.push('listen');
        return Promise.resolve({ address, port: 80 });
      },
      setProxy: () => undefined,
      stop: () => {
        log.push('stop');
        return Promise.resolve();
      },
    };
    await vm.startMonitor({ standIn, resyncMillis: () => 100 });
    await until('it listens', () => log.length > 0);
    vm.engine.hangRequests(/^\/networks\/msi-proxy-net/);
    const asked = 'GET /networks/msi-proxy-net';
    const before = countOf(vm, asked);
    await until('everything is read anew', () => countOf(vm, asked) > before);
    log.length = 0;
    const stopping = vm.stopMonitor();
    // It ends by its time when the engine never answers.
    await delay(100);
    vm.engine.resume();
    await stopping;
    await delay(100);
    assert.deepEqual(log, ['stop']);
  });

  it('reconnects when the event stream is cut, and misses nothing', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy();
    await vm.startMonitor();
    await vm.untilServing('proxy');
    vm.engine.cutEventStreams();
    vm.runClient('during');
    await vm.untilWired('during');
    vm.runClient('after');
    await vm.untilWired('after');
    assert.equal(vm.status.engine.state, 'connected');
  });

  it('keeps everything while the engine is gone, and follows what happened when it is back', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    await vm.startMonitor();
    vm.runClient('stays');
    vm.runClient('leaves');
    await vm.untilWired('stays');
    await vm.untilWired('leaves');
    const address = vm.addressOf('leaves');
    await vm.engine.die();
    await until('the loss shows', () => vm.status.engine.state === 'connecting');
    assert.match(vm.status.engine.lastError ?? '', /DOCKER_HOST|stream/);
    assert.deepEqual(vm.status.clients.map(({ name }) => name).sort(), ['leaves', 'stays']);
    assert.deepEqual(vm.wiring.removed, []);
    vm.engine.removeContainer('leaves');
    vm.runClient('comes', { address: '172.17.0.77' });
    await vm.engine.listen();
    await vm.untilWired('comes');
    await vm.untilWired('stays');
    await until('the other one is gone', () => vm.client('leaves') === undefined);
    assert.ok(!proxy.callers.has(address));
    assert.equal(vm.status.engine.lastError, undefined);
  }).timeout(10_000);

  it('waits for an engine whose socket is not there yet, and says so', async () => {
    await using vm = await MonitoredVm.create({ running: false });
    await vm.startMonitor();
    await until(
      'the reason shows',
      () => vm.status.engine.lastError?.includes(`${vm.engine.socketPath} does not exist`) === true,
    );
    assert.equal(vm.rules.wanted?.guard, 'enforce');
    vm.runProxy();
    vm.runClient('web');
    await vm.engine.listen();
    await vm.untilWired('web');
  }).timeout(10_000);

  it('says that the engine is too old, and goes on when it was upgraded', async () => {
    await using vm = await MonitoredVm.create({ version: '19.03', apiVersion: '1.40' });
    await vm.startMonitor();
    await until('the reason shows', () => /19\.03.*1\.40/.test(vm.status.engine.lastError ?? ''));
    vm.engine.apiVersion = '1.52';
    vm.engine.version = '29.0.0';
    vm.runProxy();
    vm.runClient('web');
    await vm.untilWired('web');
    assert.equal(vm.status.engine.version, '29.0.0');
  }).timeout(10_000);

  it('serves all others when the engine does not tell about one container, and that one when it does again', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    const hung = vm.runClient('hung');
    const sharer = vm.runClient('sharer', { network: `container:${hung}` });
    vm.engine.run({ name: 'hung-and-unlabelled' });
    vm.runClient('good');
    vm.runClient('good-after');
    vm.engine.hangRequests(new RegExp(`^/containers/${hung}/json`));
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    await vm.startMonitor({
      engine: createEngineClient({
        dockerHost: vm.engine.host,
        logger: silentLogger,
        timeouts: { callMillis: 200 },
      }),
      logger,
      resyncMillis: () => 400,
    });
    await vm.untilWired('good');
    await vm.untilWired('good-after');
    for (const name of ['hung', 'sharer']) {
      assert.equal(vm.client(name)?.state, 'refused');
      assert.match(vm.client(name)?.reason ?? '', /does not tell about the container "hung"/);
    }
    assert.equal(proxy.callers.get(vm.addressOf('hung'))?.grant.kind, 'refused');

    await until('all was read again', () => countOf(vm, `GET /containers/${sharer}/json`) > 2);
    assert.equal(warnings.filter(message => message.includes('does not tell')).length, 1, 'it is said once');
    vm.engine.resume();
    await vm.untilWired('hung');
    await vm.untilWired('sharer');

    vm.engine.hangRequests(new RegExp(`^/containers/${hung}/json`));
    const readings = countOf(vm, `GET /containers/${sharer}/json`);
    await until('all was read again', () => countOf(vm, `GET /containers/${sharer}/json`) > readings + 2);
    assert.equal(vm.client('hung')?.state, 'wired', 'as it was read last');
  }).timeout(10_000);

  it('opens its session to a proxy while the engine does not tell about another one', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy('hung');
    vm.runProxy('well');
    const idOf = (name: string) => vm.engine.state.container(name).id;
    vm.engine.hangRequests(new RegExp(`^/containers/${idOf('hung')}/json`));
    await vm.startMonitor();
    // Sooner than the time is over that the engine has for an answer.
    await until('it is opened', () => countOf(vm, `POST /containers/${idOf('well')}/exec`) === 1);
    vm.engine.resume();
  });

  it('takes it for the engine when it tells about no container', async () => {
    await using vm = await MonitoredVm.create();
    const proxy = vm.runProxy();
    vm.runClient('web');
    vm.engine.failRequests(/^\/containers\/[^/]+\/json/, { status: 500, message: 'no', times: 1_000 });
    await vm.startMonitor();
    await until('it shows', () => (vm.status.engine.lastError ?? '').includes('500'));
    assert.equal(proxy.callers.size, 0);
    assert.deepEqual(vm.status.clients, []);
  });

  it('goes on serving while the engine hangs for long, and follows what happened when it is back', async () => {
    await using scene = await servedVm();
    const { vm, clock, time } = scene;
    vm.runClient('web');
    await vm.untilWired('web');
    const switches = vm.rules.switches.length;

    vm.engine.hang();
    const frozenAtMillis = clock.monotonicMillis();
    // The limits of the client's calls are on the system's clock, and the session would end after 90 s.
    time.speed = 8;
    await until('the hang shows', () => vm.status.engine.state === 'unresponsive', { patienceMillis: 8_000 });
    await until('30 s have passed', () => clock.monotonicMillis() - frozenAtMillis > 30_000);
    assert.equal(vm.proxyStatus('a')?.state, 'serving');
    assert.equal(vm.rules.switches.length, switches, 'nobody was sent elsewhere');
    assert.equal(vm.client('web')?.state, 'wired');

    vm.runClient('meanwhile');
    time.speed = 1;
    vm.engine.resume();
    await vm.untilWired('meanwhile');
    assert.equal(vm.proxyStatus('a')?.state, 'serving');
    assert.equal(vm.rules.switches.length, switches);
    time.speed = 8;
    await until('it shows', () => vm.status.engine.state === 'connected');
  }).timeout(15_000);

  it('takes another proxy when one hangs while the engine is well', async () => {
    await using scene = await servedVm();
    const { vm, time, a } = scene;
    const b = vm.runProxy('b');
    await until('b stands by', () => vm.proxyStatus('b')?.state === 'standby');
    a.hang();
    // The proxies' heartbeats are on the system's clock.
    for (time.speed = 4; vm.proxyStatus('b')?.state !== 'serving';) {
      b.report({});
      await delay(100);
    }
    assert.match(vm.proxyStatus('a')?.reason ?? '', /does not answer/);
    // It may go on, and then answer whom it has kept waiting.
    assert.equal(vm.rules.switches.at(-1)?.flushFlows, false);
  }).timeout(15_000);

  it('keeps a proxy of which only the session is silent, as on a very busy VM', async () => {
    await using scene = await servedVm();
    const { vm, clock, time, a } = scene;
    const switches = vm.rules.switches.length;
    vm.answering.add(a.instanceId);
    a.hang();
    const silentAtMillis = clock.monotonicMillis();
    time.speed = 4;
    await until('it was silent for long', () => clock.monotonicMillis() - silentAtMillis > 20_000, {
      patienceMillis: 8_000,
    });
    assert.equal(vm.proxyStatus('a')?.state, 'serving');
    assert.equal(vm.rules.switches.length, switches);
  }).timeout(15_000);

  it('lets go of a proxy that is paused, also when the engine has taken its session along', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy('a');
    await vm.startMonitor();
    await vm.untilServing('a');
    vm.engine.loseEvents();
    vm.engine.state.setPaused('a', true);
    vm.engine.tellEvents();
    await vm.engine.die();
    await vm.engine.listen();
    await until('nobody serves', () => vm.rules.target === undefined);
    assert.equal(vm.proxyStatus('a')?.reason, 'it is paused');
    vm.engine.state.setPaused('a', false);
    await vm.untilServing('a');
  }).timeout(10_000);

  it('keeps the proxy that serves while its next session has not set its route again yet', async () => {
    await using vm = await MonitoredVm.create();
    const a = vm.runProxy('a');
    await vm.startMonitor();
    await vm.untilServing('a');
    const switches = vm.rules.switches.length;
    a.routeProblem = 'not yet';
    await vm.engine.die();
    await vm.engine.listen();
    await until('a is asked to set its route again', () => a.routes.length > 1);
    a.report({});
    await until('it shows', () => (vm.proxyStatus('a')?.reason ?? '').includes('not yet'));
    assert.equal(vm.rules.switches.length, switches);
    a.routeProblem = undefined;
    await until('it is set', () => vm.proxyStatus('a')?.reason === undefined, { patienceMillis: 8_000 });
    assert.equal(vm.rules.switches.length, switches);
  }).timeout(15_000);

  it('keeps the proxy that serves while the engine is gone, if its server is there, and lets go of it if not', async () => {
    await using vm = await MonitoredVm.create();
    vm.runProxy('a');
    await vm.startMonitor();
    await vm.untilServing('a');
    const switches = vm.rules.switches.length;
    await vm.engine.die();
    await until('the loss shows', () => vm.status.engine.state === 'connecting');
    assert.match(vm.proxyStatus('a')?.reason ?? '', /session/);
    assert.equal(vm.rules.switches.length, switches);
    vm.engine.state.stop('a');
    await until('nobody serves', () => vm.rules.target === undefined);
    assert.equal(vm.rules.switches.at(-1)?.flushFlows, true);
  });
});

function countOf({ engine }: MonitoredVm, request: string): number {
  return engine.requests.filter(each => each === request).length;
}
