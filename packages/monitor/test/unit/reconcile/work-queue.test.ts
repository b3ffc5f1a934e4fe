import assert from 'node:assert/strict';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { WorkQueue } from '../../../src/reconcile/work-queue.ts';

const BACKOFF = { minMillis: 100, maxMillis: 1000 };

/** Work that is under way until the test ends it. */
class ManualWork {
  readonly started: string[] = [];
  readonly #running = new Map<string, PromiseWithResolvers<undefined>>();

  readonly work = (key: string): Promise<void> => {
    assert.ok(!this.#running.has(key), `${key} is worked on twice at a time`);
    this.started.push(key);
    const run = Promise.withResolvers<undefined>();
    this.#running.set(key, run);
    return run.promise;
  };

  async succeed(key: string): Promise<void> {
    this.#take(key).resolve(undefined);
    await settle();
  }

  async fail(key: string): Promise<void> {
    this.#take(key).reject(new Error(`${key} failed`));
    await settle();
  }

  get running(): readonly string[] {
    return [...this.#running.keys()];
  }

  #take(key: string): PromiseWithResolvers<undefined> {
    const run = this.#running.get(key);
    assert.ok(run, `${key} is not worked on`);
    this.#running.delete(key);
    return run;
  }
}

describe('WorkQueue', () => {
  let clock: FakeClock;
  let manual: ManualWork;
  let errors: string[];
  let random: number;
  let queue: WorkQueue;

  function createQueue(concurrency: number): WorkQueue {
    return new WorkQueue({
      clock,
      concurrency,
      backoff: BACKOFF,
      random: () => random,
      work: manual.work,
      onError: key => errors.push(key),
    });
  }

  beforeEach(() => {
    clock = new FakeClock();
    manual = new ManualWork();
    errors = [];
    random = 0;
    queue = createQueue(2);
  });

  it('works on no more keys at a time than it may, in the order they came', async () => {
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    assert.deepEqual(manual.running, ['a', 'b']);
    await manual.succeed('b');
    assert.deepEqual(manual.running, ['a', 'c']);
  });

  it('tells when all that came until now has been worked on, also what was added again meanwhile', async () => {
    await queue.caughtUp();
    for (const key of ['a', 'b', 'c']) queue.add(key);
    let isCaughtUp = false;
    void queue.caughtUp().then(() => (isCaughtUp = true));
    await manual.succeed('a');
    queue.add('later');
    queue.add('b');
    await manual.succeed('b');
    await manual.succeed('c');
    assert.ok(!isCaughtUp, 'b was added again');
    await manual.succeed('later');
    await manual.succeed('b');
    assert.ok(isCaughtUp);
  });

  describe('asked whether all that came has been worked on', () => {
    it('says so when it has', async () => {
      assert.equal(await queue.caughtUp(), true);
      queue.add('a');
      const caughtUp = queue.caughtUp();
      await manual.succeed('a');
      assert.equal(await caughtUp, true);
    });

    it('does not when work on some of it has failed meanwhile', async () => {
      queue.add('a');
      queue.add('b');
      const caughtUp = queue.caughtUp();
      await manual.fail('a');
      await manual.succeed('b');
      assert.equal(await caughtUp, false);
    });

    it('waits for no back-off, but does not while there is one', async () => {
      queue.add('a');
      await manual.fail('a');
      assert.equal(await queue.caughtUp(), false);
      await clock.advance(BACKOFF.minMillis);
      const caughtUp = queue.caughtUp();
      await manual.succeed('a');
      assert.equal(await caughtUp, true);
    });

    it('says so when what has failed has been done before the rest', async () => {
      queue.add('a');
      queue.add('b');
      const caughtUp = queue.caughtUp();
      await manual.fail('a');
      queue.add('a');
      await manual.succeed('a');
      await manual.succeed('b');
      assert.equal(await caughtUp, true);
    });

    it('says so of what has failed, but was to be done again meanwhile', async () => {
      queue.add('a');
      const caughtUp = queue.caughtUp();
      queue.add('a');
      await manual.fail('a');
      await manual.succeed('a');
      assert.equal(await caughtUp, true);
    });

    it('keeps nobody waiting when it stops, and does not say so', async () => {
      queue.add('a');
      const caughtUp = queue.caughtUp();
      const stopping = queue.stop();
      assert.equal(await caughtUp, false);
      await manual.succeed('a');
      await stopping;
      assert.equal(await queue.caughtUp(), false);
    });
  });

  it('works once on a key that was added several times while it waited', async () => {
    queue = createQueue(1);
    queue.add('busy');
    for (let times = 0; times < 5; times++) queue.add('a');
    await manual.succeed('busy');
    await manual.succeed('a');
    assert.deepEqual(manual.started, ['busy', 'a']);
    assert.equal(queue.size, 0);
  });

  it('works once more on a key that was added while it was worked on, and not at the same time', async () => {
    queue.add('a');
    queue.add('a');
    queue.add('a');
    assert.deepEqual(manual.started, ['a']);
    await manual.succeed('a');
    assert.deepEqual(manual.started, ['a', 'a']);
    await manual.succeed('a');
    assert.deepEqual(manual.started, ['a', 'a']);
  });

  it('comes back to a key that failed after a delay that doubles up to its limit', async () => {
    random = 1;
    queue.add('a');
    for (const delayMillis of [200, 400, 800, 1000, 1000]) {
      const before = manual.started.length;
      await manual.fail('a');
      await clock.advance(delayMillis - 1);
      assert.equal(manual.started.length, before, `too early, before ${delayMillis} ms`);
      await clock.advance(1);
      assert.equal(manual.started.length, before + 1, `not at ${delayMillis} ms`);
    }
    assert.equal(errors.length, 5);
  });

  it('spreads delays by chance down to the shortest', async () => {
    queue.add('a');
    await manual.fail('a');
    await clock.advance(99);
    assert.equal(manual.started.length, 1);
    await clock.advance(1);
    assert.equal(manual.started.length, 2);
  });

  it('starts with the shortest delay again once work on the key has succeeded', async () => {
    random = 1;
    queue.add('a');
    await manual.fail('a');
    await clock.advance(200);
    await manual.succeed('a');
    queue.add('a');
    await manual.fail('a');
    await clock.advance(200);
    assert.deepEqual(manual.running, ['a']);
  });

  it('does not let one key that fails hold up the others', async () => {
    queue = createQueue(1);
    queue.add('bad');
    queue.add('good');
    await manual.fail('bad');
    assert.deepEqual(manual.running, ['good']);
  });

  it('works at once on a key that is added during its back-off, and only once', async () => {
    queue.add('a');
    await manual.fail('a');
    queue.add('a');
    assert.deepEqual(manual.running, ['a']);
    await manual.succeed('a');
    await clock.advance(BACKOFF.maxMillis);
    assert.deepEqual(manual.started, ['a', 'a']);
    assert.equal(clock.pendingTimers, 0);
  });

  it('survives work that throws before it returns a promise', async () => {
    queue = new WorkQueue({
      clock,
      concurrency: 1,
      backoff: BACKOFF,
      random: () => 0,
      work: () => {
        throw new Error('at once');
      },
      onError: key => errors.push(key),
    });
    queue.add('a');
    await settle();
    assert.deepEqual(errors, ['a']);
  });

  describe('asked to leave one alone with a key', () => {
    let alone: PromiseWithResolvers<undefined>;
    let log: string[];

    beforeEach(() => {
      alone = Promise.withResolvers();
      log = [];
    });

    function leaveAlone(name: string): Promise<void> {
      return queue.alone('a', async () => {
        log.push(name);
        assert.ok(!manual.running.includes('a'));
        await alone.promise;
      });
    }

    it('does no work on it meanwhile, but what was asked for afterwards', async () => {
      const done = leaveAlone('first');
      queue.add('a');
      queue.add('b');
      assert.deepEqual(manual.running, ['b']);
      alone.resolve(undefined);
      await done;
      await settle();
      assert.deepEqual(manual.running, ['b', 'a']);
    });

    it('lets work on it end first, and those who ask come one after the other before it goes on', async () => {
      queue.add('a');
      const done = [leaveAlone('first'), leaveAlone('second')];
      queue.add('a');
      await settle();
      assert.deepEqual(log, []);
      await manual.succeed('a');
      assert.deepEqual(log, ['first']);
      alone.resolve(undefined);
      await Promise.all(done);
      assert.deepEqual(log, ['first', 'second']);
      await settle();
      assert.deepEqual(manual.running, ['a']);
    });

    it('takes away nothing of a key that waited for its turn', async () => {
      queue = createQueue(1);
      queue.add('b');
      queue.add('a');
      const done = leaveAlone('first');
      alone.resolve(undefined);
      await done;
      await manual.succeed('b');
      assert.deepEqual(manual.running, ['a']);
    });

    it('goes on when that fails', async () => {
      const failing = queue.alone('a', () => Promise.reject(new Error('no')));
      queue.add('a');
      await assert.rejects(failing, /no/);
      await settle();
      assert.deepEqual(manual.running, ['a']);
    });

    it('does not do it any more when it has stopped, and stops when it is done', async () => {
      queue.add('a');
      const done = leaveAlone('late');
      const stopping = queue.stop();
      await manual.succeed('a');
      await Promise.all([done, stopping]);
      assert.deepEqual(log, []);
    });
  });

  it('stops when the work under way has ended, and takes up nothing more', async () => {
    queue = createQueue(1);
    queue.add('a');
    queue.add('a');
    queue.add('b');
    let stopped = false;
    const stopping = queue.stop().then(() => {
      stopped = true;
    });
    await settle();
    assert.equal(stopped, false);
    await manual.fail('a');
    await stopping;
    queue.add('c');
    await clock.advance(BACKOFF.maxMillis);
    assert.deepEqual(manual.started, ['a']);
    assert.equal(clock.pendingTimers, 0);
  });

  it('leaves no timer behind when it stops during a back-off', async () => {
    queue.add('a');
    await manual.fail('a');
    await queue.stop();
    assert.equal(clock.pendingTimers, 0);
  });
});
