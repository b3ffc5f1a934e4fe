import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FairQueue } from '../../../src/upstream/budget/fair-queue.ts';

interface Item {
  readonly name: string;
}

function takeAll(queue: FairQueue<Item>): string[] {
  const names: string[] = [];
  for (let turn = queue.take(); turn !== undefined; turn = queue.take()) names.push(turn.item.name);
  return names;
}

describe('the fair queue', () => {
  it('lets sources take turns, and keeps the order within each', () => {
    const queue = new FairQueue<Item>();
    for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) queue.add(name.charAt(0), { name });
    assert.deepEqual(takeAll(queue), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('does not let a source that comes back at once overtake one that waits', () => {
    const queue = new FairQueue<Item>();
    queue.add('a', { name: 'a1' });
    queue.add('b', { name: 'b1' });
    assert.deepEqual(queue.take(), { source: 'a', item: { name: 'a1' } });
    queue.add('a', { name: 'a2' });
    assert.deepEqual(takeAll(queue), ['b1', 'a2']);
  });

  it('passes over a source that may have nothing now, which keeps its turn', () => {
    const queue = new FairQueue<Item>();
    for (const name of ['a1', 'a2', 'b1', 'b2']) queue.add(name.charAt(0), { name });
    const isOther = (source: string) => source !== 'a';
    assert.equal(queue.take(isOther)?.item.name, 'b1');
    assert.ok(queue.hasFor(isOther));
    assert.ok(!queue.hasFor(source => source === 'c'));
    assert.deepEqual(takeAll(queue), ['a1', 'b2', 'a2']);
  });

  it('takes an item of several sources once, when the first of them has its turn', () => {
    const queue = new FairQueue<Item>();
    const shared = { name: 'shared' };
    for (const name of ['a1', 'a2']) queue.add('a', { name });
    queue.add('a', shared);
    queue.add('b', shared);
    assert.deepEqual(takeAll(queue), ['a1', 'shared', 'a2']);
    assert.equal(queue.size, 0);
  });

  it('forgets what is removed, and the line that it was the last of', () => {
    const queue = new FairQueue<Item>();
    const item = { name: 'a1' };
    queue.add('a', item);
    queue.add('b', item);
    assert.ok(queue.has(item));
    queue.remove(item);
    assert.ok(!queue.has(item));
    assert.equal(queue.lengthOf('a'), 0);
    assert.deepEqual(takeAll(queue), []);
  });

  it('gives each source its share, whatever the others do', () => {
    const source = fc.constantFrom('a', 'b', 'c', 'd');
    fc.assert(
      fc.property(fc.array(source, { maxLength: 60 }), sources => {
        const queue = new FairQueue<Item>();
        for (const name of sources) queue.add(name, { name });
        const taken = takeAll(queue);
        assert.equal(taken.length, sources.length);
        const count = (names: readonly string[], wanted: string) =>
          names.filter(name => name === wanted).length;
        for (let length = 0; length <= taken.length; length += 1) {
          const served = taken.slice(0, length);
          const waiting = new Set(taken.slice(length));
          for (const hungry of waiting) {
            for (const other of new Set(taken)) {
              assert.ok(
                count(served, other) <= count(served, hungry) + 1,
                `${other} was served before ${hungry}: ${taken.join('')}`,
              );
            }
          }
        }
      }),
    );
  });
});
