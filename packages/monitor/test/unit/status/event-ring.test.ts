import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import { EventRing } from '../../../src/status/event-ring.ts';

describe('EventRing', () => {
  it('keeps the newest events, with their time', async () => {
    const clock = new FakeClock('2026-01-01T00:00:00.000Z');
    const ring = new EventRing(clock);
    ring.add('first');
    await clock.advance(1_000);
    ring.add('second', 'abc');
    assert.deepEqual(ring.events, [
      { at: '2026-01-01T00:00:00.000Z', message: 'first' },
      { at: '2026-01-01T00:00:01.000Z', message: 'second', containerId: 'abc' },
    ]);
    for (let count = 0; count < 500; count += 1) ring.add(String(count));
    assert.equal(ring.events.length, 200);
    assert.equal(ring.events.at(-1)?.message, '499');
  });
});
