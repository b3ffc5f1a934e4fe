import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import { EventJournal } from '../../../src/status/event-journal.ts';

describe('EventJournal', () => {
  it('keeps the newest events, with their time', async () => {
    const clock = new FakeClock('2026-01-01T00:00:00.000Z');
    const journal = new EventJournal(clock);
    journal.add('first');
    await clock.advance(1_000);
    journal.add('second', 'abc');
    assert.deepEqual(journal.events, [
      { at: '2026-01-01T00:00:00.000Z', message: 'first' },
      { at: '2026-01-01T00:00:01.000Z', message: 'second', containerId: 'abc' },
    ]);
    for (let count = 0; count < 500; count += 1) journal.add(String(count));
    assert.equal(journal.events.length, 200);
    assert.equal(journal.events.at(-1)?.message, '499');
  });
});
