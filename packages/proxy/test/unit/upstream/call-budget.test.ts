import assert from 'node:assert/strict';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import {
  CallBudget,
  MAX_UPSTREAM_SOCKETS,
  type Admission,
  type CallVerdict,
  type Priority,
} from '../../../src/upstream/budget/call-budget.ts';
import type { Lane } from '../../../src/upstream/lane.ts';

const LONG_MILLIS = 60_000;

describe('the budget of calls', () => {
  let clock: FakeClock;
  let budget: CallBudget;
  /** What has been let through, by name; `undefined` when its time was up. */
  let admitted: Map<string, Admission | undefined>;

  function request(
    name: string,
    {
      lane = 'identity',
      source = name,
      priority = 'client',
      patienceMillis = LONG_MILLIS,
    }: { lane?: Lane; source?: string; priority?: Priority; patienceMillis?: number } = {},
  ) {
    const ticket = budget.request(lane, source, priority, clock.monotonicMillis() + patienceMillis);
    void ticket.admitted.then(admission => admitted.set(name, admission));
    return ticket;
  }

  function end(name: string, verdict: CallVerdict = 'succeeded'): void {
    const admission = admitted.get(name);
    assert.ok(admission !== undefined, `${name} was not let through`);
    admission.end(verdict);
  }

  /** Calls of no duration, let through as they come. */
  async function endAll(verdict: CallVerdict = 'succeeded'): Promise<void> {
    await settle();
    for (const admission of admitted.values()) admission?.end(verdict);
    await settle();
  }

  async function names(): Promise<string[]> {
    await settle();
    return [...admitted.keys()];
  }

  function createBudget({ identityConcurrent = 5 } = {}): void {
    budget = new CallBudget({
      clock,
      random: () => 1,
      identityPerSecond: 20,
      identityConcurrent,
      generalPerSecond: 5,
    });
  }

  beforeEach(() => {
    clock = new FakeClock();
    admitted = new Map();
    createBudget();
  });

  it('lets five identity calls of the VM run at once', async () => {
    for (let count = 1; count <= 7; count += 1) request(`call ${count}`);
    assert.equal((await names()).length, 5);
    end('call 2');
    assert.deepEqual((await names()).at(-1), 'call 6');
    end('call 2');
    assert.equal((await names()).length, 6, 'a call that ended twice made room twice');
  });

  it('lets no second pass in which more than twenty identity calls could have reached IMDS', async () => {
    for (let count = 1; count <= 60; count += 1) request(`call ${count}`);
    const startedAtMillis: number[] = [];
    const takeNew = () => {
      for (const admission of [...admitted.values()].slice(startedAtMillis.length)) {
        startedAtMillis.push(admission!.atMillis);
      }
    };
    for (let step = 0; step < 400; step += 1) {
      await settle();
      takeNew();
      // Each call takes 30 ms.
      for (const admission of admitted.values()) {
        if (clock.monotonicMillis() - admission!.atMillis >= 30) admission!.end('succeeded');
      }
      await clock.advance(10);
    }
    assert.equal(startedAtMillis.length, 60);
    for (const from of startedAtMillis) {
      // IMDS may have counted one at its start and another at its end.
      const within = startedAtMillis.filter(at => at >= from && at - 30 < from + 1_000);
      assert.ok(within.length <= 20, `${within.length} in the second from ${from}`);
    }
    assert.ok(Math.max(...startedAtMillis) < 2_500, 'much slower than it may be');
  });

  it('keeps five other calls a second, whatever they are for', async () => {
    for (let count = 1; count <= 4; count += 1) request(`general ${count}`, { lane: 'general' });
    for (let count = 1; count <= 4; count += 1) request(`events ${count}`, { lane: 'scheduled-events' });
    for (let round = 0; round < 8; round += 1) await endAll();
    assert.equal((await names()).length, 5);
    await clock.advance(999);
    assert.equal((await names()).length, 5);
    await clock.advance(1);
    for (let round = 0; round < 8; round += 1) await endAll();
    assert.equal((await names()).length, 8);
  });

  it('never lets more than five calls run at once, of all lanes together', async () => {
    for (const lane of ['identity', 'general', 'scheduled-events'] as const) {
      for (let count = 1; count <= 6; count += 1) request(`${lane} ${count}`, { lane });
    }
    assert.equal((await names()).length, MAX_UPSTREAM_SOCKETS);
  });

  it('leaves connections for tokens when scheduled events take minutes and instance calls hang', async () => {
    for (let count = 1; count <= 6; count += 1) request(`events ${count}`, { lane: 'scheduled-events' });
    for (let count = 1; count <= 6; count += 1) request(`general ${count}`, { lane: 'general' });
    request('token');
    assert.ok((await names()).includes('token'));
  });

  it('lets lanes take turns at the connections', async () => {
    for (let count = 1; count <= 9; count += 1) request(`token ${count}`);
    request('general', { lane: 'general' });
    await settle();
    assert.ok(!admitted.has('general'));
    end('token 1');
    assert.ok((await names()).includes('general'), 'tokens that came later went before');
  });

  it('does not let a greedy container make another wait for more than one of its calls', async () => {
    for (let count = 1; count <= 100; count += 1) request(`greedy ${count}`, { source: 'greedy' });
    await settle();
    request('modest');
    end('greedy 1');
    end('greedy 2');
    assert.ok((await names()).includes('modest'));
  });

  it('keeps a place for others while the calls of one source hang', async () => {
    for (let count = 1; count <= 9; count += 1) request(`slow ${count}`, { source: 'greedy' });
    assert.equal((await names()).length, 4);
    request('modest');
    assert.ok((await names()).includes('modest'));
    end('modest');
    await clock.advance(9_000);
    request('another');
    assert.ok((await names()).includes('another'));
    assert.equal(admitted.size, 6);
    end('slow 1');
    assert.deepEqual((await names()).at(-1), 'slow 5');
  });

  it('sends a call that waits for a place of its source as soon as another source waits for it too', async () => {
    for (let count = 1; count <= 4; count += 1) request(`slow ${count}`, { source: 'greedy' });
    const ticket = request('shared', { source: 'greedy' });
    await settle();
    assert.ok(!admitted.has('shared'));
    ticket.alsoFor('modest');
    assert.ok((await names()).includes('shared'));
  });

  it('lets a single source have the only place there is', async () => {
    createBudget({ identityConcurrent: 1 });
    request('call 1', { source: 'alone' });
    assert.deepEqual(await names(), ['call 1']);
  });

  it('lets background calls go only when no client waits', async () => {
    for (let count = 1; count <= 5; count += 1) request(`first ${count}`);
    request('refresh', { priority: 'background' });
    request('client');
    await settle();
    end('first 1');
    assert.deepEqual((await names()).at(-1), 'client');
    end('first 2');
    assert.deepEqual((await names()).at(-1), 'refresh');
  });

  it('takes a background call for a client’s as soon as a client waits for it', async () => {
    for (let count = 1; count <= 5; count += 1) request(`first ${count}`);
    const refresh = request('refresh', { priority: 'background' });
    request('client');
    refresh.alsoFor('another');
    await settle();
    end('first 1');
    end('first 2');
    assert.deepEqual((await names()).slice(-2).sort(), ['client', 'refresh']);
  });

  it('gives up when the time is up, and leaves the place to others', async () => {
    for (let count = 1; count <= 5; count += 1) request(`first ${count}`);
    request('hasty', { patienceMillis: 100 });
    await clock.advance(100);
    assert.ok(admitted.has('hasty'));
    assert.equal(admitted.get('hasty'), undefined);
    request('next');
    end('first 1');
    assert.ok((await names()).includes('next'));
    assert.equal(budget.waiting('identity'), 0);
  });

  it('waits longer for those who join later', async () => {
    for (let count = 1; count <= 5; count += 1) request(`first ${count}`);
    const ticket = request('call', { patienceMillis: 100 });
    await settle();
    ticket.expireAt(clock.monotonicMillis() + 500);
    await clock.advance(499);
    assert.ok(!admitted.has('call'));
    await clock.advance(1);
    assert.ok(admitted.has('call'));
  });

  it('says at once that a call cannot have its turn in time', async () => {
    for (let count = 1; count <= 65; count += 1) request(`greedy ${count}`, { source: 'greedy' });
    request('one too many', { source: 'greedy', patienceMillis: 1_000 });
    request('of another', { patienceMillis: 1_000 });
    await settle();
    assert.ok(admitted.has('one too many'));
    assert.equal(admitted.get('one too many'), undefined);
    assert.ok(admitted.get('of another') !== undefined);
  });

  describe('after a call without an answer', () => {
    beforeEach(async () => {
      request('slow');
      await clock.advance(1_000);
    });

    it('lets all wait when nothing else was heard of IMDS meanwhile', async () => {
      await clock.advance(9_000);
      end('slow', 'unanswered');
      request('next');
      assert.ok(!(await names()).includes('next'));
      assert.ok(budget.isUnavailable('identity'));
      await clock.advance(500);
      end('next');
    });

    it('lets nobody wait when another was answered meanwhile', async () => {
      request('fast');
      await settle();
      end('fast');
      await clock.advance(9_000);
      end('slow', 'unanswered');
      request('next');
      assert.ok((await names()).includes('next'));
      assert.ok(!budget.isUnavailable('identity'));
    });
  });

  describe('after IMDS has asked for quiet', () => {
    it('sends nothing for a while, then one call, and all when that succeeds', async () => {
      for (let count = 1; count <= 5; count += 1) request(`first ${count}`);
      await settle();
      // Sent together, refused together: that is one refusal.
      for (let count = 1; count <= 5; count += 1) end(`first ${count}`, 'throttled');
      for (let count = 1; count <= 4; count += 1) request(`next ${count}`);
      await clock.advance(499);
      assert.equal((await names()).length, 5);
      await clock.advance(1);
      assert.deepEqual((await names()).slice(5), ['next 1']);
      end('next 1');
      assert.deepEqual((await names()).slice(5), ['next 1', 'next 2', 'next 3', 'next 4']);
    });

    it('goes on to try while a try hangs, for another source before the same one', async () => {
      request('first');
      await settle();
      end('first', 'unavailable');
      request('hangs', { source: 'unlucky' });
      await clock.advance(500);
      request('again', { source: 'unlucky' });
      request('other', { source: 'other' });
      await clock.advance(1_999);
      assert.deepEqual((await names()).slice(1), ['hangs']);
      await clock.advance(1);
      assert.deepEqual((await names()).slice(1), ['hangs', 'other']);
      await clock.advance(2_000);
      assert.deepEqual((await names()).slice(1), ['hangs', 'other', 'again']);
    });

    it('goes on being quiet when a call succeeds that was sent before', async () => {
      request('refused');
      request('answered');
      await settle();
      end('refused', 'throttled');
      end('answered');
      request('next');
      await clock.advance(499);
      assert.ok(!admitted.has('next'));
      await clock.advance(1);
      end('next');
    });

    it('leaves connections to the other lanes while tries hang', async () => {
      for (let count = 1; count <= 4; count += 1) request(`hangs ${count}`);
      request('first');
      await clock.advance(1_000);
      end('first', 'unanswered');
      for (let count = 5; count <= 8; count += 1) request(`hangs ${count}`);
      await clock.advance(10_000);
      request('instance', { lane: 'general' });
      assert.ok((await names()).includes('instance'));
      assert.ok(!admitted.has('hangs 5'), 'four hang already');
    });

    it('lets all go when one try succeeds while another hangs', async () => {
      request('first');
      await settle();
      end('first', 'unavailable');
      for (const name of ['hangs', 'next', 'third', 'fourth']) request(name);
      await clock.advance(2_500);
      end('next');
      assert.deepEqual((await names()).slice(1), ['hangs', 'next', 'third', 'fourth']);
    });

    it('pauses longer each time, up to five seconds', async () => {
      const pauses: number[] = [];
      for (let count = 0; count < 6; count += 1) {
        request(`try ${count}`);
        const beganAtMillis = clock.monotonicMillis();
        await settle();
        while (!admitted.has(`try ${count}`)) await clock.advance(50);
        pauses.push(clock.monotonicMillis() - beganAtMillis);
        end(`try ${count}`, 'unavailable');
      }
      assert.deepEqual(pauses, [0, 500, 1_000, 2_000, 4_000, 5_000]);
      assert.ok(budget.isUnavailable('identity'));
    });

    it('goes on with the other lanes', async () => {
      request('token');
      await settle();
      end('token', 'throttled');
      request('general', { lane: 'general' });
      assert.ok((await names()).includes('general'));
      assert.ok(!budget.isUnavailable('identity'));
    });

    it('tells those at once who cannot wait for the end of the pause', async () => {
      request('token');
      await settle();
      end('token', 'throttled');
      request('hasty', { patienceMillis: 400 });
      await settle();
      assert.ok(admitted.has('hasty'));
    });
  });

  it('forgets no call while time goes on between two looks at the clock', async () => {
    class DriftingClock extends FakeClock {
      #driftMillis = 0;

      override monotonicMillis(): number {
        this.#driftMillis += 7;
        return super.monotonicMillis() + this.#driftMillis;
      }
    }
    clock = new DriftingClock();
    createBudget();
    for (let count = 1; count <= 200; count += 1) request(`call ${count}`);
    for (let round = 0; round < 6_000 && admitted.size < 200; round += 1) {
      await endAll();
      await clock.advance(3);
    }
    assert.equal(admitted.size, 200);
    assert.ok([...admitted.values()].every(admission => admission !== undefined));
  });

  it('leaves no timer behind', async () => {
    for (let count = 1; count <= 25; count += 1) request(`call ${count}`);
    for (let round = 0; round < 8; round += 1) await endAll();
    await clock.advance(1_000);
    for (let round = 0; round < 8; round += 1) await endAll();
    assert.equal((await names()).length, 25);
    assert.equal(clock.pendingTimers, 0);
  });
});
