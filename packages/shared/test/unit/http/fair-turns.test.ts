import assert from 'node:assert/strict';
import { FairTurns } from '../../../src/http/fair-turns.ts';

const SHARE = 4;

describe('turns of the event loop', () => {
  let turns: FairTurns;
  let log: string[];

  beforeEach(() => {
    turns = new FairTurns();
    log = [];
  });

  function ask(caller: string, name = caller): void {
    const answer = () => log.push(name);
    if (turns.admits(caller)) answer();
    else turns.next(caller, answer);
  }

  async function nextTurn(): Promise<void> {
    await new Promise(resolve => {
      setImmediate(resolve);
    });
  }

  it('are all of a caller that is alone', () => {
    for (let count = 0; count < 100; count += 1) ask('greedy');
    assert.equal(log.length, 100);
  });

  it('are shared by callers that ask at the same time, each in the order of its requests', async () => {
    ask('other');
    for (let count = 0; count < 10; count += 1) ask('greedy', `greedy ${count}`);
    ask('other');
    assert.deepEqual(log, ['other', 'greedy 0', 'greedy 1', 'greedy 2', 'greedy 3', 'other']);

    await nextTurn();
    assert.equal(log.length, 6 + SHARE);
    ask('other');
    assert.equal(log.at(-1), 'other');

    await nextTurn();
    assert.deepEqual(
      log.filter(name => name.startsWith('greedy')),
      Array.from({ length: 10 }, (_, count) => `greedy ${count}`),
    );
  });

  it('lose no request, however many there are', async () => {
    for (let count = 0; count < 50; count += 1) for (const caller of ['a', 'b', 'c']) ask(caller);
    for (let turn = 0; turn < 15; turn += 1) await nextTurn();
    assert.equal(log.length, 150);
  });

  it('are one caller\u2019s again when the others have gone', async () => {
    ask('other');
    ask('greedy');
    await new Promise(resolve => {
      setTimeout(resolve, 250);
    });
    log.length = 0;
    for (let count = 0; count < 100; count += 1) ask('greedy');
    assert.equal(log.length, 100);
  });
});
