import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import { Deadlines } from '../../../src/upstream/deadlines.ts';

describe('deadlines', () => {
  let clock: FakeClock;
  let deadlines: Deadlines;
  let told: string[];

  beforeEach(() => {
    clock = new FakeClock();
    deadlines = new Deadlines(clock);
    told = [];
  });

  const add = (atMillis: number, name = `${atMillis}`) =>
    deadlines.add(atMillis, () => told.push(`${name} at ${clock.monotonicMillis()}`));

  it('are told at their moment, in whichever order they were set', async () => {
    for (const atMillis of [300, 100, 200]) add(atMillis);
    await clock.advance(1_000);
    assert.deepEqual(told, ['100 at 100', '200 at 200', '300 at 300']);
  });

  it('have one timer for all of them, and none when there are none', () => {
    const all = [300, 100, 200, 400].map(atMillis => add(atMillis));
    assert.equal(clock.pendingTimers, 1);
    for (const deadline of all) deadlines.cancel(deadline);
    assert.equal(clock.pendingTimers, 0);
  });

  it('are not told when they are cancelled, and the others are', async () => {
    const first = add(100);
    add(200);
    const last = add(300);
    deadlines.cancel(first);
    deadlines.cancel(first);
    await clock.advance(250);
    deadlines.cancel(last);
    await clock.advance(1_000);
    assert.deepEqual(told, ['200 at 200']);
    assert.equal(clock.pendingTimers, 0);
  });

  it('may be over already', async () => {
    await clock.advance(500);
    add(100);
    await clock.advance(0);
    assert.deepEqual(told, ['100 at 500']);
  });

  it('may be set when another one is told', async () => {
    deadlines.add(100, () => add(150, 'next'));
    await clock.advance(1_000);
    assert.deepEqual(told, ['next at 150']);
  });
});
