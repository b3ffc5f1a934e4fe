import assert from 'node:assert/strict';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { CallerResolver, type Resolution } from '../../../src/callers/caller-resolver.ts';
import { CallerTable } from '../../../src/callers/caller-table.ts';
import { callerAt, grantOf } from '../support/callers.ts';
import { FakeClient } from '../support/fake-client.ts';
import { FakeConfirmationSource } from '../support/fake-confirmation-source.ts';

const ADDRESS = '172.17.0.2';
const CONFIRM_AFTER = 1_000;
const CALLER_WAIT = 1_000;
const HOLD = 30_000;
const GRACE = 90_000;

const OLD = callerAt(ADDRESS);
const NEW = callerAt(ADDRESS, {
  containerId: 'f00d'.padEnd(64, '0'),
  name: 'other',
  grant: grantOf({ endpoints: ['instance'] }),
});

/** A promise whose state can be looked at. */
function watch(promise: Promise<Resolution>): { readonly outcome: () => Resolution | undefined } {
  let outcome: Resolution | undefined;
  void promise.then(value => {
    outcome = value;
  });
  return { outcome: () => outcome };
}

describe('the resolver of callers', () => {
  let clock: FakeClock;
  let table: CallerTable;
  let monitor: FakeConfirmationSource;
  let resolver: CallerResolver;

  function createResolver(confirmAfterMillis = CONFIRM_AFTER): CallerResolver {
    return new CallerResolver({
      table,
      monitor,
      clock,
      limits: () => ({
        confirmAfterMillis,
        callerWaitMillis: CALLER_WAIT,
        holdMillis: HOLD,
        silenceGraceMillis: GRACE,
      }),
    });
  }

  async function makeStale(): Promise<void> {
    table.confirm(OLD);
    await clock.advance(CONFIRM_AFTER + 1);
  }

  beforeEach(() => {
    clock = new FakeClock();
    table = new CallerTable(clock);
    monitor = new FakeConfirmationSource();
    resolver = createResolver();
  });

  afterEach(() => {
    assert.equal(clock.pendingTimers, 0, 'a timer was leaked');
    assert.equal(monitor.listeners, 0, 'a listener was leaked');
  });

  describe('of clients that leave', () => {
    const CROWD = 100;

    /** Those who wait for its answer. @returns what makes all of them leave */
    function crowd(): { readonly resolving: Promise<Resolution[]>; readonly leave: () => void } {
      const clients = Array.from({ length: CROWD }, () => new FakeClient());
      const resolving = Promise.all(clients.map(client => resolver.resolve(ADDRESS, client)));
      return { resolving, leave: () => clients.forEach(client => client.leave()) };
    }

    for (const state of ['none', 'silent', 'live'] as const) {
      it(`keeps nothing, whatever they waited for: the monitor is ${state}`, async () => {
        await makeStale();
        monitor.become(state);
        await clock.advance(GRACE);
        const { resolving, leave } = crowd();
        await settle();
        assert.equal(clock.pendingTimers, CROWD);
        leave();
        await resolving;
        assert.equal(clock.pendingTimers, 0);
        assert.equal(monitor.listeners, 0);
        assert.ok(monitor.asked.length <= 1);
      });
    }

    it('does not ask for one that has left already', async () => {
      const client = new FakeClient();
      client.leave();
      assert.equal((await resolver.resolve(ADDRESS, client)).kind, 'unavailable');
      assert.deepEqual(monitor.asked, []);
    });
  });

  describe('with a monitor that answers', () => {
    it('serves an entry that was confirmed a moment ago without asking', async () => {
      table.confirm(OLD);
      await clock.advance(CONFIRM_AFTER / 2);
      assert.equal(resolver.fresh(ADDRESS), OLD);
      assert.deepEqual(await resolver.resolve(ADDRESS), { kind: 'known', caller: OLD });
      assert.deepEqual(monitor.asked, []);
    });

    it('asks ahead, once, for one that is served past half of that time, and serves it meanwhile', async () => {
      table.confirm(OLD);
      await clock.advance(CONFIRM_AFTER);
      for (let count = 0; count < 3; count += 1) assert.equal(resolver.fresh(ADDRESS), OLD);
      assert.deepEqual(monitor.asked, [ADDRESS]);
      monitor.answer({ kind: 'caller', caller: OLD });
      await settle();
      await clock.advance(CONFIRM_AFTER / 2);
      assert.equal(resolver.fresh(ADDRESS), OLD);
      assert.deepEqual(monitor.asked, [ADDRESS]);
    });

    it('asks once for a burst of requests from an address whose entry is older', async () => {
      await makeStale();
      assert.equal(resolver.fresh(ADDRESS), undefined);
      const burst = Array.from({ length: 20 }, () => resolver.resolve(ADDRESS));
      await settle();
      monitor.answer({ kind: 'caller', caller: OLD });
      for (const resolution of await Promise.all(burst)) assert.equal(resolution.kind, 'known');
      assert.deepEqual(monitor.asked, [ADDRESS]);
    });

    it('asks for each address by itself', async () => {
      const other = '172.17.0.3';
      const both = [resolver.resolve(ADDRESS), resolver.resolve(other)];
      await settle();
      assert.deepEqual(monitor.asked, [ADDRESS, other]);
      monitor.answer({ kind: 'caller', caller: OLD });
      monitor.answer({ kind: 'caller', caller: callerAt(other) });
      await Promise.all(both);
    });

    it('does not ask again within the time for which an answer counts, and does so after it', async () => {
      await makeStale();
      const first = resolver.resolve(ADDRESS);
      await settle();
      monitor.answer({ kind: 'caller', caller: OLD });
      await first;
      await clock.advance(CONFIRM_AFTER / 2);
      await resolver.resolve(ADDRESS);
      assert.equal(monitor.asked.length, 1);
      await clock.advance(CONFIRM_AFTER);
      const second = resolver.resolve(ADDRESS);
      await settle();
      assert.equal(monitor.asked.length, 2);
      monitor.answer({ kind: 'caller', caller: OLD });
      await second;
    });

    it('gives another container at the address its own grant, never the one of the container before', async () => {
      await makeStale();
      const resolving = resolver.resolve(ADDRESS);
      await settle();
      monitor.answer({ kind: 'caller', caller: NEW });
      assert.deepEqual(await resolving, { kind: 'known', caller: NEW });
      assert.equal(table.get(ADDRESS)?.caller, NEW);
    });

    it('does not let an answer override a change that came while it was under way', async () => {
      await makeStale();
      const resolving = resolver.resolve(ADDRESS);
      await settle();
      monitor.answer({ kind: 'caller', caller: OLD });
      table.confirm(NEW);
      assert.deepEqual(await resolving, { kind: 'known', caller: NEW });
      assert.equal(table.get(ADDRESS)?.caller, NEW);
    });

    it('counts an answer from the moment of its question: nobody knows when the monitor looked', async () => {
      await makeStale();
      const asked = clock.monotonicMillis();
      const resolving = resolver.resolve(ADDRESS);
      await clock.advance(700);
      monitor.answer({ kind: 'caller', caller: OLD });
      await resolving;
      assert.equal(table.get(ADDRESS)?.confirmedAtMillis, asked);
    });

    it('asks anew rather than wait for the answer to an old question', async () => {
      await makeStale();
      const first = resolver.resolve(ADDRESS);
      await clock.advance(CONFIRM_AFTER + 1);
      const second = resolver.resolve(ADDRESS);
      await settle();
      assert.equal(monitor.asked.length, 2);
      monitor.answer({ kind: 'caller', caller: OLD });
      monitor.answer({ kind: 'caller', caller: OLD });
      await Promise.all([first, second]);
    });

    it('forgets an address that nobody has, waits for somebody to be named there, then says so', async () => {
      await makeStale();
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.answer({ kind: 'nobody' });
      await clock.advance(CALLER_WAIT - 1);
      assert.equal(table.get(ADDRESS), undefined);
      assert.equal(resolving.outcome(), undefined);
      await clock.advance(1);
      assert.deepEqual(resolving.outcome(), { kind: 'nobody' });
      assert.deepEqual(monitor.asked, [ADDRESS], 'it was asked more than once');
    });

    it('serves an unknown address at once when a delta names it meanwhile', async () => {
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.answer({ kind: 'nobody' });
      await clock.advance(300);
      table.confirm(NEW);
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: NEW });
    });

    it('serves an unknown address that a delta names before the answer', async () => {
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      table.confirm(NEW);
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: NEW });
    });

    it('is not woken by other addresses', async () => {
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.answer({ kind: 'nobody' });
      table.confirm(callerAt('172.17.0.9'));
      await settle();
      assert.equal(resolving.outcome(), undefined);
      assert.equal(monitor.asked.length, 1);
      await clock.advance(CALLER_WAIT);
    });

    it('asks about each request when told that answers do not keep', async () => {
      resolver = createResolver(0);
      table.confirm(OLD);
      await clock.advance(1);
      for (const expected of [1, 2]) {
        const resolving = resolver.resolve(ADDRESS);
        await settle();
        assert.equal(monitor.asked.length, expected);
        await clock.advance(1);
        monitor.answer({ kind: 'caller', caller: OLD });
        assert.equal((await resolving).kind, 'known');
      }
    });

    it('serves somebody who has just been named also when answers do not keep', async () => {
      resolver = createResolver(0);
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.answer({ kind: 'nobody' });
      await settle();
      // Some time passes between the change and the look at its age.
      table.confirm(NEW, clock.monotonicMillis() - 1);
      await settle();
      assert.equal(monitor.asked.length, 2);
      monitor.answer({ kind: 'caller', caller: NEW });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: NEW });
    });
  });

  describe('for those who ask again by themselves', () => {
    it('says at once that there is no monitor', async () => {
      monitor.become('none');
      assert.equal((await resolver.resolveSoon(ADDRESS)).kind, 'unavailable');
    });

    it('asks, and says at once that nobody has the address', async () => {
      const resolving = resolver.resolveSoon(ADDRESS);
      await settle();
      monitor.answer({ kind: 'nobody' });
      assert.deepEqual(await resolving, { kind: 'nobody' });
    });

    it('waits for the answer, but not as long as a request', async () => {
      const resolving = watch(resolver.resolveSoon(ADDRESS));
      await clock.advance(CALLER_WAIT);
      assert.equal(resolving.outcome()?.kind, 'unavailable');
    });
  });

  describe('without a monitor', () => {
    it('serves what was confirmed a moment ago', async () => {
      table.confirm(OLD);
      monitor.become('none');
      assert.deepEqual(await resolver.resolve(ADDRESS), { kind: 'known', caller: OLD });
    });

    it('holds a request until a monitor is back, and then asks it', async () => {
      monitor.become('none');
      await makeStale();
      const resolving = watch(resolver.resolve(ADDRESS));
      await clock.advance(HOLD / 2);
      assert.equal(resolving.outcome(), undefined);
      assert.deepEqual(monitor.asked, []);
      monitor.become('live');
      await settle();
      monitor.answer({ kind: 'caller', caller: OLD });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: OLD });
    });

    it('gives up when the hold time is over', async () => {
      monitor.become('none');
      await makeStale();
      const resolving = watch(resolver.resolve(ADDRESS));
      await clock.advance(HOLD - 1);
      assert.equal(resolving.outcome(), undefined);
      await clock.advance(1);
      assert.deepEqual(resolving.outcome(), {
        kind: 'unavailable',
        reason: 'no monitor is connected to the proxy',
      });
    });

    it('asks the next session when one ends before its answer', async () => {
      await makeStale();
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.endSession();
      await clock.advance(100);
      assert.equal(resolving.outcome(), undefined);
      monitor.become('live');
      await settle();
      assert.equal(monitor.asked.length, 2);
      monitor.answer({ kind: 'caller', caller: NEW });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: NEW });
    });

    it('asks the next session again about an address that the last one knew nobody at', async () => {
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.answer({ kind: 'nobody' });
      await settle();
      monitor.endSession();
      monitor.become('live');
      await settle();
      monitor.answer({ kind: 'caller', caller: NEW });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: NEW });
    });

    it('says that the monitor did not answer in time when it is there but never answers', async () => {
      const resolving = watch(resolver.resolve(ADDRESS));
      await clock.advance(HOLD);
      assert.deepEqual(resolving.outcome(), {
        kind: 'unavailable',
        reason: 'the monitor could not confirm the caller in time',
      });
    });
  });

  it('asks anew when an answer does not come', async () => {
    table.confirm(OLD);
    await clock.advance(CONFIRM_AFTER + 1);
    const resolving = watch(resolver.resolve(ADDRESS));
    await settle();
    await clock.advance(9_999);
    assert.equal(monitor.asked.length, 1);
    await clock.advance(1);
    await settle();
    assert.equal(monitor.asked.length, 2);
    monitor.answer({ kind: 'engine-unresponsive' }); // to the first one, which nobody waits for any more
    await settle();
    assert.equal(resolving.outcome(), undefined);
    monitor.answer({ kind: 'caller', caller: OLD });
    await settle();
    assert.equal(resolving.outcome()?.kind, 'known');
  });

  describe('while the engine hangs', () => {
    it('serves entries within the grace', async () => {
      table.confirm(OLD);
      await clock.advance(GRACE);
      monitor.become('silent');
      assert.deepEqual(await resolver.resolve(ADDRESS), { kind: 'known', caller: OLD });
      assert.deepEqual(monitor.asked, []);
    });

    it('holds entries older than the grace', async () => {
      table.confirm(OLD);
      await clock.advance(GRACE + 1);
      monitor.become('silent');
      const resolving = watch(resolver.resolve(ADDRESS));
      await clock.advance(HOLD);
      assert.deepEqual(resolving.outcome(), { kind: 'unavailable', reason: 'the monitor does not answer' });
    });

    it('holds addresses that it does not know', async () => {
      monitor.become('silent');
      const resolving = watch(resolver.resolve(ADDRESS));
      await clock.advance(HOLD);
      assert.equal(resolving.outcome()?.kind, 'unavailable');
      assert.deepEqual(monitor.asked, []);
    });

    it('asks about entries older than the grace, and serves those that are found unchanged', async () => {
      table.confirm(OLD);
      await clock.advance(GRACE + 1);
      monitor.become('silent');
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      assert.deepEqual(monitor.asked, [ADDRESS]);
      monitor.answer({ kind: 'caller', caller: OLD });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: OLD });
    });

    it('asks about entries also when the engine has taken the session along', async () => {
      await makeStale();
      monitor.leavesWitness = true;
      monitor.endSession();
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      // The grace is for a session that is silent: here the monitor may be gone too.
      monitor.answer({ kind: 'engine-unresponsive' });
      await clock.advance(500);
      await settle();
      assert.equal(resolving.outcome(), undefined);
      monitor.answer({ kind: 'caller', caller: OLD });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: OLD });
    });

    it('asks again every half second about an entry of which nothing can be said', async () => {
      table.confirm(OLD);
      await clock.advance(GRACE + 1);
      monitor.become('silent');
      const resolving = watch(resolver.resolve(ADDRESS));
      for (let round = 1; round <= 3; round += 1) {
        await settle();
        assert.equal(monitor.asked.length, round);
        assert.equal(resolving.outcome(), undefined);
        monitor.answer({ kind: 'engine-unresponsive' });
        await clock.advance(500);
      }
      monitor.answer({ kind: 'caller', caller: OLD });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: OLD });
    });

    it('serves a request that already waits when the silence is noticed', async () => {
      await makeStale();
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.become('silent');
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: OLD });
    });

    it('needs a confirmation again as soon as the monitor is heard', async () => {
      await makeStale();
      monitor.become('silent');
      monitor.become('live');
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      assert.deepEqual(monitor.asked, [ADDRESS]);
      monitor.answer({ kind: 'caller', caller: NEW });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: NEW });
    });

    it('serves within the grace when the monitor says that the engine does not answer', async () => {
      await makeStale();
      const resolving = resolver.resolve(ADDRESS);
      await settle();
      monitor.answer({ kind: 'engine-unresponsive' });
      assert.deepEqual(await resolving, { kind: 'known', caller: OLD });
    });

    it('asks again every half second about an address that it does not know', async () => {
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.answer({ kind: 'engine-unresponsive' });
      await clock.advance(499);
      assert.equal(monitor.asked.length, 1);
      await clock.advance(1);
      assert.equal(monitor.asked.length, 2);
      monitor.answer({ kind: 'caller', caller: NEW });
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'known', caller: NEW });
    });

    it('does not hold longer than the hold time for an engine that never answers', async () => {
      const resolving = watch(resolver.resolve(ADDRESS));
      for (let round = 0; round < HOLD / 500; round += 1) {
        await settle();
        monitor.answer({ kind: 'engine-unresponsive' });
        await clock.advance(500);
      }
      assert.equal(resolving.outcome()?.kind, 'unavailable');
    });
  });

  describe('when the proxy stops', () => {
    it('ends the waiting for a monitor at once', async () => {
      monitor.become('none');
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      resolver.stop();
      await settle();
      assert.deepEqual(resolving.outcome(), { kind: 'unavailable', reason: 'the proxy is stopping' });
    });

    it('ends the waiting for an address to be named', async () => {
      const resolving = watch(resolver.resolve(ADDRESS));
      await settle();
      monitor.answer({ kind: 'nobody' });
      await settle();
      resolver.stop();
      await settle();
      // Not 'nobody': that would be final for the client, and the next proxy may know it.
      assert.equal(resolving.outcome()?.kind, 'unavailable');
    });

    it('still takes the answer to a question that a live monitor was asked, for a second', async () => {
      await makeStale();
      const answered = watch(resolver.resolve(ADDRESS));
      const unanswered = watch(resolver.resolve('172.17.0.3'));
      await settle();
      resolver.stop();
      monitor.answer({ kind: 'caller', caller: OLD });
      await settle();
      assert.deepEqual(answered.outcome(), { kind: 'known', caller: OLD });
      assert.equal(unanswered.outcome(), undefined);
      await clock.advance(1_000);
      assert.deepEqual(unanswered.outcome(), { kind: 'unavailable', reason: 'the proxy is stopping' });
    });

    it('holds nothing any more', async () => {
      monitor.become('none');
      resolver.stop();
      assert.equal((await resolver.resolve(ADDRESS)).kind, 'unavailable');
      table.confirm(OLD);
      assert.equal((await resolver.resolve(ADDRESS)).kind, 'known');
    });
  });
});
