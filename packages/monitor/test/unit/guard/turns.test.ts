import assert from 'node:assert/strict';
import { Turns } from '../../../src/guard/turns.ts';

describe('Turns', () => {
  let turns: Turns;
  let log: string[];

  beforeEach(() => {
    turns = new Turns();
    log = [];
  });

  function operation(name: string): () => Promise<string> {
    return async () => {
      log.push(`${name} begins`);
      await Promise.resolve();
      log.push(`${name} ends`);
      return name;
    };
  }

  it('runs one operation at a time, and gives back what came of it', async () => {
    const results = await Promise.all([turns.change(operation('a')), turns.look(operation('b'))]);

    assert.deepEqual(results, ['a', 'b']);
    assert.deepEqual(log, ['a begins', 'a ends', 'b begins', 'b ends']);
  });

  it('lets changes go before looks that wait, in their own order', async () => {
    const underWay = turns.look(operation('under way'));
    await Promise.resolve();
    await Promise.all([
      underWay,
      turns.look(operation('look')),
      turns.change(operation('first')),
      turns.change(operation('second')),
    ]);

    const begun = log.filter(line => line.endsWith('begins')).map(line => line.replace(' begins', ''));
    assert.deepEqual(begun, ['under way', 'first', 'second', 'look']);
  });

  it('goes on after a failure', async () => {
    const failing = turns.change(() => Promise.reject(new Error('no')));
    const next = turns.change(operation('next'));

    await assert.rejects(failing, /no/);
    assert.equal(await next, 'next');
  });
});
