import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { codeOf, systemClock, type Caller } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import type { GatedRequest } from '../../../src/gate/gated-request.ts';
import type { Relay, RelayRequest } from '../../../src/relay.ts';
import { settled, type AnswerSource, type AuthorizedRequest } from '../../../src/server/answer-source.ts';
import { createRelaySource } from '../../../src/server/relay-source.ts';
import { CallBudget } from '../../../src/upstream/budget/call-budget.ts';
import { ImdsClient } from '../../../src/upstream/imds-client.ts';
import { UpstreamCalls } from '../../../src/upstream/upstream-calls.ts';
import { Upstream } from '../../../src/upstream/upstream.ts';
import { callerAt } from '../support/callers.ts';
import { FakeClient } from '../support/fake-client.ts';
import { upstreamAnswer } from '../support/fake-imds.ts';

const TARGET = '/metadata/scheduledevents?api-version=2020-07-01';

/** As many requests for scheduled events as are sent at once, of one container each. */
const OTHERS = ['a', 'b'];

describe('what is passed on', () => {
  let clock: FakeClock;
  let sent: PromiseWithResolvers<undefined>[];
  let methods: string[];
  let upstream: Upstream;
  let isCurrent: (caller: Caller) => boolean;
  let source: AnswerSource;

  beforeEach(() => {
    clock = new FakeClock();
    sent = [];
    methods = [];
    isCurrent = () => true;
    const random = () => 0.5;
    const rates = { identityPerSecond: 20, identityConcurrent: 5, generalPerSecond: 5 };
    const budget = new CallBudget({ clock, random, ...rates });
    upstream = new Upstream({ host: '127.0.0.1', port: 9 });
    const relay: Pick<Relay, 'send'> = {
      async send({ request }: RelayRequest) {
        methods.push(request.method ?? '');
        const answer = Promise.withResolvers<undefined>();
        sent.push(answer);
        await answer.promise;
        return upstreamAnswer('{}');
      },
    };
    source = createRelaySource({
      relay: () => Promise.resolve(relay as Relay),
      client: new ImdsClient({ upstream, clock: systemClock, maxResponseBytes: 1_000, userAgent: 'test' }),
      hostHeader: '169.254.169.254',
      calls: new UpstreamCalls({ budget, clock, random }),
      clock,
      timeoutMillis: () => 10_000,
      isCurrent: caller => isCurrent(caller),
    });
  });

  afterEach(() => {
    upstream.destroy();
  });

  function authorized(method: 'GET' | 'POST', containerId = 'c'): AuthorizedRequest {
    const group = method === 'POST' ? 'scheduledevents-ack' : 'scheduledevents';
    const gated: GatedRequest = {
      method,
      target: TARGET,
      path: '/metadata/scheduledevents',
      query: [],
      endpoint: { group, errorShape: 'instance' },
      contentLength: method === 'POST' ? 2 : 0,
    };
    return {
      gated,
      decision: { kind: 'allow', target: TARGET, userData: 'granted' },
      caller: callerAt('172.17.0.2', { containerId }),
      body: Buffer.from(method === 'POST' ? '{}' : ''),
      headers: {},
      client: new FakeClient(),
      exchange: { request: { method } as IncomingMessage, response: {} as ServerResponse },
    };
  }

  async function acknowledgementThatWaits() {
    const others = OTHERS.map(other => settled(source(authorized('GET', other))));
    await settle();
    assert.deepEqual(methods, ['GET', 'GET']);
    const acknowledging = settled(source(authorized('POST'))).then(
      ({ kind }) => kind,
      (error: unknown) => codeOf(error),
    );
    await settle();
    assert.equal(methods.length, OTHERS.length, 'it did not wait');
    return async () => {
      for (const answer of sent.slice(0, OTHERS.length)) answer.resolve(undefined);
      await Promise.all(others);
      await clock.advance(2_000);
      for (const answer of sent.slice(OTHERS.length)) answer.resolve(undefined);
      return await acknowledging;
    };
  }

  it('sends an acknowledgement when it has its turn', async () => {
    const end = await acknowledgementThatWaits();
    assert.equal(await end(), 'answer');
    assert.deepEqual(methods, ['GET', 'GET', 'POST']);
  });

  it('does not send an acknowledgement of who may send none any more when it has its turn', async () => {
    const end = await acknowledgementThatWaits();
    isCurrent = () => false;
    assert.equal(await end(), 'MSI_CLIENT_LEFT');
    assert.deepEqual(methods, ['GET', 'GET']);
  });
});
