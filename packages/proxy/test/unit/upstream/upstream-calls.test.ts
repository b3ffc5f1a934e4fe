import assert from 'node:assert/strict';
import { MsiProxyError } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { CallBudget } from '../../../src/upstream/budget/call-budget.ts';
import {
  UpstreamCalls,
  type CallOptions,
  type CallOutcome,
  type UpstreamCall,
} from '../../../src/upstream/upstream-calls.ts';
import { SharedPromise, TIME_UP } from '../../../src/upstream/shared-promise.ts';
import { errorText, FakeImds, isDown, upstreamAnswer } from '../support/fake-imds.ts';

const PATIENCE_MILLIS = 10_000;
const TARGET = '/metadata/identity/oauth2/token?x=1';

const BUSY = upstreamAnswer(errorText('Temporarily throttled, too many requests'), { status: 429 });
const UPDATING = upstreamAnswer('{"error":"Gone"}', { status: 410 });
const NOT_FOUND = upstreamAnswer('{"error":"Not found"}', { status: 404 });
const STAND_IN_NOT_FOUND = upstreamAnswer('Not Found', { status: 404, contentType: 'text/plain' });
const OWN_ERROR = upstreamAnswer(errorText('Failed to retrieve token'), { status: 500 });
const STAND_IN_ERROR = upstreamAnswer('Internal Server Error', { status: 500, contentType: 'text/plain' });
const FINE = upstreamAnswer('{}');

describe('calls to IMDS', () => {
  let clock: FakeClock;
  let imds: FakeImds;
  let budget: CallBudget;
  let calls: UpstreamCalls;

  function start(options: Partial<CallOptions> = {}): UpstreamCall {
    return calls.start({
      lane: 'identity',
      source: 'a',
      priority: 'client',
      deadlineMillis: clock.monotonicMillis() + PATIENCE_MILLIS,
      isRepeatable: true,
      isUpdatedWhenNotFound: true,
      send: timeoutMillis => imds.send(TARGET, timeoutMillis),
      ...options,
    });
  }

  /** Lets time pass until the call has ended. */
  async function end(call: UpstreamCall): Promise<CallOutcome | MsiProxyError> {
    let outcome: CallOutcome | MsiProxyError | undefined;
    call.outcome.then(
      value => (outcome = value),
      (error: unknown) => (outcome = error as MsiProxyError),
    );
    while (outcome === undefined) await clock.advance(10);
    return outcome;
  }

  function statusOf(outcome: CallOutcome | MsiProxyError): number | string {
    if (outcome instanceof MsiProxyError) return outcome.code;
    return outcome.kind === 'answered' ? outcome.answer.status : outcome.kind;
  }

  /** The first answers in their order, and then the last for ever. */
  function replies(...list: (typeof FINE | MsiProxyError)[]): void {
    imds.reply = () => list[Math.min(imds.asked.length, list.length) - 1]!;
  }

  beforeEach(() => {
    clock = new FakeClock();
    imds = new FakeImds(clock, () => FINE);
    const random = () => 0.5;
    budget = new CallBudget({
      clock,
      random,
      identityPerSecond: 20,
      identityConcurrent: 5,
      generalPerSecond: 5,
    });
    calls = new UpstreamCalls({ budget, clock, random });
  });

  describe('are repeated in time after', () => {
    const passing: [name: string, reply: typeof FINE | MsiProxyError][] = [
      ['a 429', BUSY],
      ['a 410', UPDATING],
      ['a 404 of tokens', NOT_FOUND],
      ['a 404 of what stands in for IMDS', STAND_IN_NOT_FOUND],
      ['a 500 in IMDS’s own words', OWN_ERROR],
      ['a 500 of what stands in for IMDS', STAND_IN_ERROR],
      ['a connection that is refused', isDown()],
    ];
    for (const [name, reply] of passing) {
      it(name, async () => {
        replies(reply, reply, FINE);
        assert.equal(statusOf(await end(start())), 200);
        assert.equal(imds.asked.length, 3);
        assert.equal(clock.pendingTimers, 0);
      });
    }

    it('an answer that is not usable', async () => {
      replies(upstreamAnswer('<html>'), FINE);
      const isUsable = ({ body }: typeof FINE) => body.toString() === '{}';
      assert.equal(statusOf(await end(start({ isUsable }))), 200);
      assert.equal(imds.asked.length, 2);
    });
  });

  it('end with the last answer when there is no time for another', async () => {
    replies(BUSY);
    const outcome = await end(start());
    assert.equal(statusOf(outcome), 429);
    assert.ok(clock.monotonicMillis() <= PATIENCE_MILLIS);
    // 0.75 of 0.5, 1, 2, 4 s and so on, as the clock of this test has it.
    assert.equal(imds.asked.length, 6);
  });

  it('end with the last error when there is no time for another', async () => {
    replies(isDown());
    assert.equal(statusOf(await end(start())), 'MSI_UPSTREAM_FAILED');
  });

  describe('are not repeated', () => {
    it('after a definite answer', async () => {
      replies(upstreamAnswer(errorText('Identity not found'), { status: 400 }));
      assert.equal(statusOf(await end(start())), 400);
      assert.equal(imds.asked.length, 1);
    });

    it('after a 404 of what simply is not there', async () => {
      replies(NOT_FOUND);
      const outcome = await end(start({ lane: 'general', isUpdatedWhenNotFound: false }));
      assert.equal(statusOf(outcome), 404);
      assert.equal(imds.asked.length, 1);
    });

    it('when they would do something twice', async () => {
      replies(OWN_ERROR);
      assert.equal(statusOf(await end(start({ isRepeatable: false }))), 500);
      assert.equal(imds.asked.length, 1);
    });

    for (const code of ['MSI_UPSTREAM_TOO_LARGE', 'MSI_CLIENT_LEFT'] as const) {
      it(`after ${code}`, async () => {
        replies(new MsiProxyError(code, 'x'));
        assert.equal(statusOf(await end(start())), code);
        assert.equal(imds.asked.length, 1);
      });
    }
  });

  describe('do not make other containers wait for an error that is about one call:', () => {
    const ownErrors: [name: string, reply: typeof FINE][] = [
      ['a token that Azure AD would not give', OWN_ERROR],
      ['an API version that IMDS does not know', NOT_FOUND],
    ];
    for (const [name, reply] of ownErrors) {
      it(name, async () => {
        imds.reply = () => (imds.asked.length === 1 ? reply : FINE);
        const first = start();
        await clock.advance(30);
        const second = start({ source: 'b' });
        await clock.advance(30);
        assert.deepEqual(statusOf(await second.outcome), 200);
        assert.equal(clock.monotonicMillis(), 60);
        await end(first);
      });
    }
  });

  it('make all wait for a 404 that IMDS did not write itself', async () => {
    imds.reply = () => (imds.asked.length === 1 ? STAND_IN_NOT_FOUND : FINE);
    const first = start();
    await clock.advance(30);
    const second = start({ source: 'b' });
    await clock.advance(30);
    assert.equal(imds.asked.length, 1);
    await Promise.all([end(first), end(second)]);
  });

  it('do not make other containers wait because one is answered slowly, while they are answered', async () => {
    const hang = async (timeoutMillis: number) => {
      await new Promise<void>(resolve => {
        clock.setTimer(resolve, timeoutMillis);
      });
      throw new MsiProxyError('MSI_UPSTREAM_TIMEOUT', 'x');
    };
    const slow = start({ send: hang });
    await clock.advance(PATIENCE_MILLIS / 2);
    assert.equal(statusOf(await end(start({ source: 'b' }))), 200);
    assert.equal(statusOf(await end(slow)), 'MSI_UPSTREAM_TIMEOUT');
    const atMillis = clock.monotonicMillis();
    assert.equal(statusOf(await end(start({ source: 'b' }))), 200);
    assert.ok(clock.monotonicMillis() - atMillis < 50);
  });

  it('do not make other containers wait because a client left, or had little time', async () => {
    replies(new MsiProxyError('MSI_CLIENT_LEFT', 'x'), new MsiProxyError('MSI_UPSTREAM_TIMEOUT', 'x'), FINE);
    await end(start());
    await end(start({ deadlineMillis: clock.monotonicMillis() + 100 }));
    const atMillis = clock.monotonicMillis();
    assert.equal(statusOf(await end(start({ source: 'b' }))), 200);
    assert.ok(clock.monotonicMillis() - atMillis < 50);
  });

  it('wait together while IMDS is away, and one tries for all', async () => {
    imds.reply = () => isDown();
    const waiting = Array.from({ length: 30 }, (_, index) => start({ source: `client ${index}` }));
    await clock.advance(5_000);
    // Five were sent before the first had failed.
    assert.ok(imds.asked.length <= 5 + 4, `${imds.asked.length} calls`);
    imds.reply = () => FINE;
    const outcomes = await Promise.all(waiting.map(end));
    assert.ok(outcomes.every(outcome => statusOf(outcome) === 200));
    assert.ok(clock.monotonicMillis() <= PATIENCE_MILLIS);
  });

  it('tell a VM that has used its budget from one whose IMDS is away', async () => {
    imds.latencyMillis = 60_000;
    const busy = Array.from({ length: 5 }, (_, index) => start({ source: `busy ${index}` }));
    await settle();
    const outcome = start({ source: 'b', deadlineMillis: clock.monotonicMillis() + 100 });
    await clock.advance(100);
    assert.equal(statusOf(await outcome.outcome), 'throttled');
    await Promise.all(busy.map(end));

    const late = start({ source: 'b', deadlineMillis: clock.monotonicMillis() + 100 });
    const [result] = await Promise.allSettled([late.outcome]);
    assert.equal(result.status, 'rejected');
  });

  /** What it has come to by a moment. */
  async function outcomeBy(deadlineMillis: number, call: UpstreamCall): Promise<CallOutcome> {
    const outcome = await new SharedPromise(call.outcome).until(deadlineMillis, clock);
    return outcome === TIME_UP ? call.soFar() : outcome;
  }

  it('say what they have come to, to those who cannot wait', async () => {
    imds.latencyMillis = 1_000;
    const call = start();
    const early = outcomeBy(500, call);
    early.catch(() => undefined);
    await clock.advance(500);
    await assert.rejects(early, { code: 'MSI_UPSTREAM_TIMEOUT' });
    replies(BUSY, FINE);
    const later = outcomeBy(1_200, call);
    await clock.advance(700);
    assert.equal(statusOf(await later), 429);
    assert.equal(statusOf(await end(call)), 200);
  });

  it('are throttled, not late, when they had their turn at the last moment only', async () => {
    imds.latencyMillis = 900;
    for (let count = 0; count < 5; count += 1) start({ source: `busy ${count}` });
    const call = start({ source: 'b' });
    const outcome = outcomeBy(1_000, call);
    await clock.advance(1_000);
    assert.equal(imds.asked.length, 6);
    assert.equal(statusOf(await outcome), 'throttled');
    await end(call);
    for (let count = 0; count < 5; count += 1) start({ source: `busy ${count}` });
    const hurried = start({ source: 'b', deadlineMillis: clock.monotonicMillis() + 1_000 });
    assert.equal(statusOf(await end(hurried)), 'throttled');
  });

  it('fail, and are not throttled, when they had it only then because IMDS was away', async () => {
    replies(isDown());
    await end(start({ isRepeatable: false }));
    imds.latencyMillis = 1_000;
    // The first pause is 0.375 s, as the clock of this test has it.
    const hurried = start({ source: 'b', deadlineMillis: clock.monotonicMillis() + 380 });
    assert.equal(statusOf(await end(hurried)), 'MSI_UPSTREAM_TIMEOUT');
    assert.equal(imds.asked.length, 2);
  });

  it('go on for those who joined, as long as the last one waits', async () => {
    replies(BUSY);
    const call = start();
    await clock.advance(5_000);
    call.join('b', clock.monotonicMillis() + PATIENCE_MILLIS);
    await clock.advance(PATIENCE_MILLIS - 2_000);
    replies(FINE);
    assert.equal(statusOf(await end(call)), 200);
    assert.ok(clock.monotonicMillis() > PATIENCE_MILLIS);
  });
});
