import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import type { Answered } from '../../../src/server/answer-source.ts';
import { SharedCall } from '../../../src/server/shared-call.ts';
import type { CallOutcome } from '../../../src/upstream/upstream-calls.ts';
import { FakeClient } from '../support/fake-client.ts';
import { upstreamAnswer } from '../support/fake-imds.ts';

const PATIENCE_MILLIS = 10_000;

describe('a call that is shared', () => {
  let clock: FakeClock;
  let outcome: PromiseWithResolvers<CallOutcome>;
  let call: SharedCall;
  let told: (Answered | string | undefined)[];

  function share(client = new FakeClient()): FakeClient {
    const deadlineMillis = clock.monotonicMillis() + PATIENCE_MILLIS;
    call.share('source', { deadlineMillis, errorShape: 'instance', userData: 'granted', client }).tell({
      answered: answered => told.push(answered),
      failed: error => told.push((error as { code?: string }).code),
    });
    return client;
  }

  beforeEach(() => {
    clock = new FakeClock();
    outcome = Promise.withResolvers();
    told = [];
    const upstreamCall = {
      outcome: outcome.promise,
      join: () => undefined,
      soFar: (): CallOutcome => ({ kind: 'throttled' }),
    };
    call = new SharedCall(upstreamCall, clock, () => undefined);
  });

  afterEach(() => {
    assert.equal(clock.pendingTimers, 0);
  });

  it('keeps nothing of those who leave', () => {
    const clients = Array.from({ length: 100 }, () => share());
    assert.equal(clock.pendingTimers, 1);
    for (const client of clients) client.leave();
    assert.equal(clock.pendingTimers, 0);
    assert.deepEqual([...new Set(told)], ['MSI_CLIENT_LEFT']);
    assert.equal(told.length, clients.length);
  });

  it('tells at once who has left already', () => {
    const client = new FakeClient();
    client.leave();
    share(client);
    assert.deepEqual(told, ['MSI_CLIENT_LEFT']);
  });

  it('tells the others all the same, and those who stay once', async () => {
    const leaving = share();
    const staying = share();
    leaving.leave();
    outcome.resolve({ kind: 'answered', answer: upstreamAnswer('{}') });
    await clock.advance(PATIENCE_MILLIS);
    staying.leave();
    assert.deepEqual(
      told.map(each => (typeof each === 'object' ? each.kind : each)),
      ['MSI_CLIENT_LEFT', 'answer'],
    );
  });

  it('tells those whose time is up how it is then', async () => {
    const client = share();
    await clock.advance(PATIENCE_MILLIS);
    assert.deepEqual(told, [{ kind: 'throttled' }]);
    assert.equal(client.listeners, 0);
  });
});
