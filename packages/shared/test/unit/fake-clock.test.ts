import assert from 'node:assert/strict';
import { systemClock } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';

describe('FakeClock', () => {
  it('stands still until it is moved', async () => {
    const clock = new FakeClock('2026-03-01T00:00:00Z');
    assert.equal(clock.monotonicMillis(), 0);
    await clock.advance(1_500);
    assert.equal(clock.monotonicMillis(), 1_500);
    assert.equal(clock.wallMillis(), Date.parse('2026-03-01T00:00:01.500Z'));
  });

  it('fires timers in the order of their times, and those of one time in the order they were set', async () => {
    const clock = new FakeClock();
    const fired: [string, number][] = [];
    const set = (name: string, millis: number) =>
      clock.setTimer(() => fired.push([name, clock.monotonicMillis()]), millis);
    set('c', 30);
    set('a', 10);
    set('b', 10);
    set('negative', -5);
    await clock.advance(10);
    assert.deepEqual(fired, [
      ['negative', 0],
      ['a', 10],
      ['b', 10],
    ]);
    assert.equal(clock.pendingTimers, 1);
    await clock.advance(20);
    assert.deepEqual(fired.at(-1), ['c', 30]);
  });

  it('fires timers that timers set, within the same move', async () => {
    const clock = new FakeClock();
    const fired: number[] = [];
    const tick = () => {
      fired.push(clock.monotonicMillis());
      clock.setTimer(tick, 10);
    };
    clock.setTimer(tick, 10);
    await clock.advance(35);
    assert.deepEqual(fired, [10, 20, 30]);
  });

  it('lets promises settle between timers', async () => {
    const clock = new FakeClock();
    const order: string[] = [];
    clock.setTimer(() => void Promise.resolve().then(() => order.push('promise')), 1);
    clock.setTimer(() => order.push('timer'), 2);
    await clock.advance(2);
    assert.deepEqual(order, ['promise', 'timer']);
  });

  it('forgets a timer that is cancelled', async () => {
    const clock = new FakeClock();
    const timer = clock.setTimer(() => assert.fail('fired'), 1);
    timer.cancel();
    timer.cancel();
    assert.equal(clock.pendingTimers, 0);
    await clock.advance(1);
  });
});

describe('systemClock', () => {
  it('fires a timer, and none that is cancelled', async () => {
    systemClock.setTimer(() => assert.fail('fired'), 0).cancel();
    const before = systemClock.monotonicMillis();
    const keepAlive = setTimeout(() => {}, 4_000);
    await new Promise<void>(resolve => {
      systemClock.setTimer(resolve, 1);
    });
    clearTimeout(keepAlive);
    assert.ok(systemClock.monotonicMillis() > before);
    assert.ok(systemClock.wallMillis() > Date.parse('2020-01-01'));
  });
});
