import assert from 'node:assert/strict';
import { MsiProxyError, silentLogger, type Logger } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import type { EngineClient, EngineEvent, EventOptions } from '../../../src/docker/index.ts';
import { EventFollower } from '../../../src/reconcile/event-follower.ts';

type EngineCalls = Pick<EngineClient, 'version' | 'events' | 'ping'>;

/** One subscription, as the engine sees it. */
class Subscription implements AsyncIterable<EngineEvent> {
  readonly options: EventOptions;
  readonly #events: EngineEvent[] = [];
  #wake = Promise.withResolvers<undefined>();
  #closed = false;

  constructor(options: EventOptions) {
    this.options = options;
    options.signal.addEventListener('abort', () => this.close());
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  async send(actorId: string, timeSeconds: number): Promise<void> {
    const timeNano = timeSeconds * 1e9;
    this.#events.push({ type: 'container', action: 'start', actorId, attributes: {}, timeNano });
    this.#wake.resolve(undefined);
    await settle();
  }

  close(): void {
    this.#closed = true;
    this.#wake.resolve(undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EngineEvent> {
    for (;;) {
      yield* this.#events.splice(0);
      if (this.#closed) return;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }
}

class FakeEngine implements EngineCalls {
  readonly subscriptions: Subscription[] = [];
  readonly calls: string[] = [];
  versionAttempts = 0;
  versionError: Error | undefined;
  pingError: Error | undefined;
  pingTimeouts: (number | undefined)[] = [];

  get subscription(): Subscription {
    const last = this.subscriptions.at(-1);
    assert.ok(last, 'nobody has subscribed');
    return last;
  }

  version() {
    this.versionAttempts++;
    if (this.versionError !== undefined) return Promise.reject(this.versionError);
    return Promise.resolve({ version: '20.10.24', apiVersion: '1.41' });
  }

  events(options: EventOptions) {
    this.calls.push('subscribe');
    const subscription = new Subscription(options);
    this.subscriptions.push(subscription);
    return Promise.resolve(subscription);
  }

  ping(timeoutMillis?: number) {
    this.pingTimeouts.push(timeoutMillis);
    return this.pingError === undefined ? Promise.resolve() : Promise.reject(this.pingError);
  }
}

const REFUSED = new MsiProxyError('MSI_ENGINE_UNREACHABLE', 'nothing listens');
const HANGS = new MsiProxyError('MSI_ENGINE_UNRESPONSIVE', 'no answer');

describe('EventFollower', () => {
  let clock: FakeClock;
  let engine: FakeEngine;
  let events: string[];
  let states: string[];
  let lines: string[];
  let list: () => Promise<void>;
  let random: number;
  let follower: EventFollower;

  beforeEach(() => {
    clock = new FakeClock();
    engine = new FakeEngine();
    events = [];
    states = [];
    lines = [];
    list = () => {
      engine.calls.push('list');
      return Promise.resolve();
    };
    random = 0;
    const logger: Logger = {
      ...silentLogger,
      info: () => lines.push('info'),
      warn: () => lines.push('warn'),
    };
    follower = new EventFollower({
      engine: engine as EngineCalls as EngineClient,
      clock,
      logger,
      random: () => random,
      onSubscribed: () => list(),
      onEvent: ({ actorId }) => events.push(actorId),
      onStateChange: (state, problem) => states.push(problem === undefined ? state : `${state}: ${problem}`),
    });
  });

  afterEach(async () => {
    await follower.stop();
    assert.equal(clock.pendingTimers, 0, 'timers are left');
  });

  async function start(): Promise<void> {
    follower.start();
    await settle();
  }

  it('subscribes first and lists then', async () => {
    await start();
    assert.deepEqual(engine.calls, ['subscribe', 'list']);
    assert.deepEqual(states, ['connected']);
    assert.deepEqual(follower.version, { version: '20.10.24', apiVersion: '1.41' });
  });

  it('subscribes once, however often it is started', async () => {
    await start();
    await start();
    assert.equal(engine.subscriptions.length, 1);
  });

  it('passes events on while the listing is still under way', async () => {
    const listing = Promise.withResolvers<undefined>();
    list = async () => {
      await listing.promise;
    };
    await start();
    await engine.subscription.send('a', 100);
    assert.deepEqual(events, ['a']);
    listing.resolve(undefined);
  });

  it('asks for everything the first time, and from a second before the last event afterwards', async () => {
    await start();
    assert.equal(engine.subscription.options.sinceSeconds, undefined);
    await engine.subscription.send('a', 1000);
    await engine.subscription.send('b', 2000.5);
    engine.subscription.close();
    await clock.advance(800);
    assert.equal(engine.subscription.options.sinceSeconds, 1999.5);
    assert.deepEqual(engine.calls, ['subscribe', 'list', 'subscribe', 'list']);
  });

  it('keeps its place when an event tells no time', async () => {
    await start();
    await engine.subscription.send('a', 1000);
    await engine.subscription.send('b', 0);
    engine.subscription.close();
    await clock.advance(800);
    assert.equal(engine.subscription.options.sinceSeconds, 999);
  });

  it('negotiates the version anew for each subscription', async () => {
    await start();
    engine.subscription.close();
    await clock.advance(800);
    assert.equal(engine.versionAttempts, 2);
  });

  it('subscribes again when the listing fails, and closes the subscription before', async () => {
    list = () => Promise.reject(REFUSED);
    await start();
    assert.ok(engine.subscription.isClosed);
    assert.deepEqual(states, ['connected', 'connecting: nothing listens']);
    list = () => Promise.resolve();
    await clock.advance(800);
    assert.equal(follower.state, 'connected');
  });

  it('never waits long for an engine of which there is no socket', async () => {
    engine.versionError = REFUSED;
    random = 1;
    await start();
    for (const [index, waitMillis] of [1600, 3000, 3000, 3000].entries()) {
      await clock.advance(waitMillis);
      assert.equal(engine.versionAttempts, index + 2, `not at ${waitMillis} ms`);
    }
  });

  it('waits longer after each attempt that fails, up to half a minute', async () => {
    engine.versionError = HANGS;
    random = 1;
    await start();
    for (const [index, waitMillis] of [1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000].entries()) {
      await clock.advance(waitMillis - 1);
      assert.equal(engine.versionAttempts, index + 1, `too early, before ${waitMillis} ms`);
      await clock.advance(1);
      assert.equal(engine.versionAttempts, index + 2, `not at ${waitMillis} ms`);
    }
  });

  it('never waits less than 0.8 s', async () => {
    engine.versionError = REFUSED;
    await start();
    await clock.advance(799);
    assert.equal(engine.versionAttempts, 1);
    await clock.advance(1);
    assert.equal(engine.versionAttempts, 2);
  });

  it('begins with short waits again after a subscription that lived for half a minute', async () => {
    engine.versionError = HANGS;
    random = 1;
    await start();
    await clock.advance(1600 + 3200);
    engine.versionError = undefined;
    await clock.advance(6400);
    await clock.advance(30_000);
    engine.subscription.close();
    await settle();
    const before = engine.versionAttempts;
    await clock.advance(1600);
    assert.equal(engine.versionAttempts, before + 1);
  });

  it('goes on with long waits after a subscription that ended soon', async () => {
    engine.versionError = REFUSED;
    random = 1;
    await start();
    await clock.advance(1600 + 3200);
    engine.versionError = undefined;
    await clock.advance(6400);
    engine.subscription.close();
    await settle();
    const before = engine.versionAttempts;
    await clock.advance(12_799);
    assert.equal(engine.versionAttempts, before);
    await clock.advance(1);
    assert.equal(engine.versionAttempts, before + 1);
  });

  it('writes one line for each change of state, not for each attempt', async () => {
    engine.versionError = REFUSED;
    await start();
    await clock.advance(60_000);
    assert.ok(engine.versionAttempts > 3);
    assert.deepEqual(lines, ['warn']);
    engine.versionError = undefined;
    await clock.advance(30_000);
    await clock.advance(60_000);
    assert.deepEqual(lines, ['warn', 'info']);
    assert.deepEqual(states, ['connecting: nothing listens', 'connected']);
  });

  it('tells when the problem has become another one, without a line for it', async () => {
    engine.versionError = REFUSED;
    await start();
    engine.versionError = new MsiProxyError('MSI_ENGINE_FORBIDDEN', 'not allowed');
    await clock.advance(800);
    assert.deepEqual(states, ['connecting: nothing listens', 'connecting: not allowed']);
    assert.deepEqual(lines, ['warn']);
  });

  it('pings every 10 s, gives the engine 5 s, and keeps the subscription of an engine that hangs', async () => {
    await start();
    await clock.advance(9_999);
    assert.deepEqual(engine.pingTimeouts, []);
    await clock.advance(1);
    assert.deepEqual(engine.pingTimeouts, [5_000]);
    engine.pingError = HANGS;
    await clock.advance(10_000);
    assert.equal(follower.state, 'unresponsive');
    assert.ok(!engine.subscription.isClosed);
    assert.equal(engine.subscriptions.length, 1);
  });

  it('is connected again when the ping is answered, and has missed nothing meanwhile', async () => {
    await start();
    engine.pingError = HANGS;
    await clock.advance(10_000);
    engine.pingError = undefined;
    await engine.subscription.send('late', 100);
    await clock.advance(10_000);
    assert.deepEqual(states, ['connected', 'unresponsive: no answer', 'connected']);
    assert.deepEqual(events, ['late']);
    assert.equal(engine.subscriptions.length, 1);
  });

  it('subscribes again when the stream of an engine that hung is closed', async () => {
    await start();
    engine.pingError = HANGS;
    await clock.advance(10_000);
    engine.pingError = undefined;
    engine.subscription.close();
    await clock.advance(800);
    assert.equal(engine.subscriptions.length, 2);
    assert.equal(follower.state, 'connected');
  });

  it('tells an engine that accepts but does not answer from one that is away', async () => {
    engine.versionError = HANGS;
    await start();
    assert.equal(follower.state, 'unresponsive');
  });

  it('does not wait for a ping that hangs when the stream is closed', async () => {
    await start();
    engine.ping = () => new Promise<never>(() => {});
    await clock.advance(10_000);
    engine.subscription.close();
    await clock.advance(800);
    assert.equal(engine.subscriptions.length, 2);
  });

  it('leaves nothing to a ping that fails after its subscription has ended', async () => {
    await start();
    const late = Promise.withResolvers<never>();
    engine.ping = () => late.promise;
    await clock.advance(10_000);
    engine.subscription.close();
    await clock.advance(800);
    late.reject(HANGS);
    await settle();
    assert.equal(follower.state, 'connected');
  });

  it('says at once whether the engine answers, giving it a second', async () => {
    assert.equal(await follower.engineAnswers(), true);
    engine.pingError = HANGS;
    assert.equal(await follower.engineAnswers(), false);
    assert.deepEqual(engine.pingTimeouts, [1_000, 1_000]);
  });

  it('closes its subscription when it stops, and does not come back', async () => {
    await start();
    await follower.stop();
    assert.ok(engine.subscription.isClosed);
    await clock.advance(60_000);
    assert.equal(engine.subscriptions.length, 1);
    assert.deepEqual(states, ['connected']);
  });

  it('stops while it waits to try again', async () => {
    engine.versionError = REFUSED;
    await start();
    await follower.stop();
    await clock.advance(60_000);
    assert.equal(engine.versionAttempts, 1);
  });

  it('can be stopped before it was started, and twice', async () => {
    await follower.stop();
    await follower.stop();
    assert.deepEqual(engine.calls, []);
  });
});
