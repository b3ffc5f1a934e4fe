import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { MAX_GIVEN_TOKENS, MsiProxyError, silentLogger, type IdentityRef } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { TokenBroker, type TokenOutcome } from '../../../src/tokens/token-broker.ts';
import { tokenRequestOf, type TokenRequest } from '../../../src/tokens/token-request.ts';
import { CallBudget } from '../../../src/upstream/budget/call-budget.ts';
import { UpstreamCalls } from '../../../src/upstream/upstream-calls.ts';
import { FakeClient } from '../support/fake-client.ts';
import { errorText, FakeImds, isDown, upstreamAnswer } from '../support/fake-imds.ts';
import { tokenText, tokenWith } from '../support/token-text.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const PATIENCE_MILLIS = 10_000;
const VAULT = 'https://vault.azure.net';
const USER_ASSIGNED =
  '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app';

/** A clock whose wall can be set. */
class SettableClock extends FakeClock {
  #setMillis = 0;

  setWall(byMillis: number): void {
    this.#setMillis += byMillis;
  }

  override wallMillis(): number {
    return super.wallMillis() + this.#setMillis;
  }
}

function clientId(number: number): string {
  return `00000000-0000-0000-0000-${String(number).padStart(12, '0')}`;
}

describe('the token broker', () => {
  let clock: SettableClock;
  let imds: FakeImds;
  let broker: TokenBroker;
  let random: () => number;
  let lifetimeSeconds: number;
  let issued: number;

  function requestOf(
    parameters: Readonly<Record<string, string>> = {},
    identity?: IdentityRef,
  ): TokenRequest {
    const all = { 'api-version': '2018-02-01', resource: VAULT, ...parameters };
    return tokenRequestOf(
      Object.entries(all).map(([name, value]) => ({ name, value })),
      identity,
    );
  }

  /** Asks, and lets time pass until there is an answer. */
  async function get(request = requestOf(), source = 'client'): Promise<TokenOutcome> {
    const outcome = begin(request, source);
    const state = { isSettled: false };
    const settled = () => (state.isSettled = true);
    outcome.then(settled, settled);
    await settle();
    while (!state.isSettled) await clock.advance(10);
    return await outcome;
  }

  function begin(request = requestOf(), source = 'client'): Promise<TokenOutcome> {
    const outcome = broker.get(request, {
      source,
      deadlineMillis: clock.monotonicMillis() + PATIENCE_MILLIS,
    });
    outcome.catch(() => undefined);
    return outcome;
  }

  function bodyOf(outcome: TokenOutcome): Record<string, string> {
    assert.ok(outcome.kind === 'answer', outcome.kind);
    return JSON.parse(outcome.answer.body.toString()) as Record<string, string>;
  }

  function viaOf(outcome: TokenOutcome): string {
    return outcome.kind === 'answer' ? outcome.via : outcome.kind;
  }

  /** A new token with each call. */
  function issueTokens(): void {
    imds.reply = () => {
      issued += 1;
      return upstreamAnswer(
        tokenText({ access_token: `token ${issued}`, expires_in: String(lifetimeSeconds) }),
      );
    };
  }

  function createBroker({ maxEntries = 1_000, maxBytes = 1_000_000 } = {}): TokenBroker {
    const budget = new CallBudget({
      clock,
      random,
      identityPerSecond: 20,
      identityConcurrent: 5,
      generalPerSecond: 5,
    });
    const calls = new UpstreamCalls({ budget, clock, random });
    return new TokenBroker({
      calls,
      send: imds.send,
      clock,
      random,
      logger: silentLogger,
      maxEntries,
      maxBytes,
    });
  }

  beforeEach(() => {
    clock = new SettableClock();
    imds = new FakeImds(clock, () => isDown());
    random = () => 0.5;
    lifetimeSeconds = 3_600;
    issued = 0;
    issueTokens();
    broker = createBroker();
  });

  afterEach(() => {
    assert.ok(imds.mostAtOnce <= 5, `${imds.mostAtOnce} calls at once`);
    broker.stop();
    assert.equal(clock.pendingTimers, 0, 'a timer was left behind');
  });

  describe('shares one call', () => {
    it('among a thousand first requests of fifty containers', async () => {
      const outcomes = Array.from({ length: 1_000 }, (_, index) =>
        begin(requestOf(), `client ${index % 50}`),
      );
      await clock.advance(20);
      const answered = await Promise.all(outcomes);
      assert.equal(imds.asked.length, 1);
      assert.deepEqual([...new Set(answered.map(outcome => bodyOf(outcome)['access_token']))], ['token 1']);
      assert.deepEqual(answered.filter(outcome => viaOf(outcome) === 'upstream').length, 1);
    });

    it('only among requests for the same', async () => {
      const requests = [
        requestOf(),
        requestOf({ resource: `${VAULT}/` }),
        requestOf({ client_id: clientId(1) }),
        requestOf({ claims: 'x' }),
      ];
      const outcomes = requests.map(request => begin(request));
      await clock.advance(20);
      const tokens = (await Promise.all(outcomes)).map(outcome => bodyOf(outcome)['access_token']);
      assert.equal(new Set(tokens).size, requests.length);
    });

    it('that goes on, with nothing left of those who leave meanwhile', async () => {
      imds.latencyMillis = 5_000;
      const clients = Array.from({ length: 100 }, () => new FakeClient());
      const before = begin(requestOf(), 'patient');
      await settle();
      const timers = clock.pendingTimers;
      const deadlineMillis = clock.monotonicMillis() + PATIENCE_MILLIS;
      const outcomes = clients.map(client =>
        broker.get(requestOf(), { source: 'hasty', deadlineMillis, client }),
      );
      for (const client of clients) client.leave();
      for (const outcome of outcomes) await assert.rejects(outcome, { code: 'MSI_CLIENT_LEFT' });
      assert.equal(clock.pendingTimers, timers);
      assert.ok(clients.every(({ listeners }) => listeners === 0));
      await clock.advance(5_000);
      assert.equal(viaOf(await before), 'upstream');
      assert.equal(imds.asked.length, 1);
    });

    it('that goes on for the others when the time of one of them is up', async () => {
      imds.latencyMillis = 7_000;
      const hasty = broker.get(requestOf(), { source: 'a', deadlineMillis: 5_000 });
      const patient = begin(requestOf(), 'b');
      hasty.catch(() => undefined);
      await clock.advance(7_000);
      await assert.rejects(hasty, { code: 'MSI_UPSTREAM_TIMEOUT' });
      assert.equal(viaOf(await patient), 'shared');
    });
  });

  describe('gives a token again', () => {
    it('with its times as they are then, and everything else as it was', async () => {
      const first = bodyOf(await get());
      await clock.advance(100_000 - 20);
      const outcome = await get();
      assert.equal(viaOf(outcome), 'cache');
      assert.deepEqual(bodyOf(outcome), {
        ...first,
        expires_in: '3501',
        ext_expires_in: String(Number(first['ext_expires_in']) - 99),
      });
      assert.deepEqual(Object.keys(bodyOf(outcome)), Object.keys(first));
      assert.equal(imds.asked.length, 1);
    });

    it('not one second longer than it is valid, also when IMDS is away', async () => {
      await get();
      imds.reply = () => isDown();
      await clock.advance(3_600_000 - 40);
      assert.equal(bodyOf(await get())['expires_in'], '1');
      await clock.advance(60);
      await assert.rejects(get(), { code: 'MSI_UPSTREAM_FAILED' });
    });

    it('not when the VM has slept meanwhile, which only the wall clock has seen', async () => {
      await get();
      clock.setWall(2 * HOUR);
      assert.equal(viaOf(await get()), 'upstream');
    });

    it('when the wall clock was set back, only as long as it is valid', async () => {
      await get();
      clock.setWall(-24 * HOUR);
      await clock.advance(10 * MINUTE);
      assert.equal(bodyOf(await get())['expires_in'], '3000');
    });
  });

  describe('passes the cache and replaces what it holds', () => {
    it('for bypass_cache', async () => {
      await get();
      const outcome = await get(requestOf({ bypass_cache: 'true' }));
      assert.equal(viaOf(outcome), 'upstream');
      assert.match(imds.asked.at(-1)!, /bypass_cache=true/);
      assert.equal(bodyOf(await get())['access_token'], 'token 2');
      assert.equal(imds.asked.length, 2);
    });

    it('for a token that a service has refused, which nobody gets again', async () => {
      const refused = bodyOf(await get())['access_token']!;
      const hash = createHash('sha256').update(refused).digest('hex');
      await get(requestOf({ token_sha256_to_refresh: hash, xms_cc: 'cp1' }));
      assert.equal(viaOf(await get()), 'upstream');
      assert.equal(bodyOf(await get())['access_token'], 'token 3');
    });

    it('for such a token only when IMDS has given another: whatever a client says, others keep what is valid', async () => {
      const refused = bodyOf(await get())['access_token']!;
      const hash = createHash('sha256').update(refused).digest('hex');
      imds.reply = () => isDown();
      await assert.rejects(get(requestOf({ token_sha256_to_refresh: hash })), {
        code: 'MSI_UPSTREAM_FAILED',
      });
      const outcome = await get(requestOf(), 'other');
      assert.equal(viaOf(outcome), 'cache');
      assert.equal(bodyOf(outcome)['access_token'], refused);

      await clock.advance(MINUTE);
      issueTokens();
      const refresh = begin(requestOf({ token_sha256_to_refresh: hash }));
      await settle();
      assert.equal(bodyOf(await begin(requestOf(), 'other'))['access_token'], refused);
      await clock.advance(20);
      assert.equal(viaOf(await refresh), 'upstream');
      assert.equal(bodyOf(await get(requestOf(), 'other'))['access_token'], 'token 2');
      assert.deepEqual(
        broker.list().tokens[0]?.containerIds,
        ['client', 'other'],
        'who has it was forgotten',
      );
    });

    it('except for tokens of clients with capabilities, which are of no use to others', async () => {
      await get();
      await get(requestOf({ xms_cc: 'cp1' }));
      assert.equal(bodyOf(await get())['access_token'], 'token 1');
      await get(requestOf({ xms_cc: 'cp1' }));
      assert.equal(imds.asked.length, 3);
    });

    it('but not with the answer to a call that began earlier', async () => {
      imds.latencyMillis = 1_000;
      const plain = begin();
      await clock.advance(500);
      imds.latencyMillis = 100;
      imds.reply = () => upstreamAnswer(tokenText({ access_token: 'fresh' }));
      await get(requestOf({ bypass_cache: 'true' }));
      imds.reply = () => upstreamAnswer(tokenText({ access_token: 'stale' }));
      await clock.advance(400);
      assert.equal(bodyOf(await plain)['access_token'], 'stale');
      assert.equal(bodyOf(await get())['access_token'], 'fresh');
    });

    it('and a wish for freshness that IMDS refuses takes the token from nobody', async () => {
      await get();
      imds.reply = () => upstreamAnswer(errorText('token_sha256_to_refresh is wrong'), { status: 400 });
      assert.equal(
        bodyOf(await get(requestOf({ token_sha256_to_refresh: 'x' })))['error'],
        'invalid_request',
      );
      assert.equal(bodyOf(await get())['access_token'], 'token 1');
    });
  });

  describe('refreshes ahead', () => {
    it('five minutes before the end of an hour, when the token was used', async () => {
      await get();
      await clock.advance(55 * MINUTE + 100);
      assert.equal(imds.asked.length, 2);
      const outcome = await get();
      assert.equal(viaOf(outcome), 'cache');
      assert.equal(bodyOf(outcome)['access_token'], 'token 2');
    });

    it('at half of a day', async () => {
      lifetimeSeconds = 86_400;
      await get();
      await clock.advance(12 * HOUR - MINUTE);
      assert.equal(imds.asked.length, 1);
      await clock.advance(2 * MINUTE);
      assert.equal(imds.asked.length, 2);
    });

    it('not what nobody has used since, until somebody does', async () => {
      await get();
      await clock.advance(55 * MINUTE);
      await clock.advance(56 * MINUTE);
      assert.equal(imds.asked.length, 2, 'the second token was not used');
      assert.equal(bodyOf(await get())['access_token'], 'token 2');
      await clock.advance(100);
      assert.equal(bodyOf(await get())['access_token'], 'token 3');
    });

    it('with the plain request, also when the token was got with a wish for freshness', async () => {
      await get(requestOf({ bypass_cache: 'true' }));
      await clock.advance(56 * MINUTE);
      assert.equal(imds.asked.length, 2);
      assert.doesNotMatch(imds.asked[1]!, /bypass/);
    });

    it('soon again when it gets the same token once more, but not without end', async () => {
      const expiresAtMillis = clock.monotonicMillis() + lifetimeSeconds * 1_000;
      imds.reply = () => {
        const left = Math.floor((expiresAtMillis - clock.monotonicMillis()) / 1_000);
        return upstreamAnswer(tokenText({ access_token: 'same', expires_in: String(left) }));
      };
      for (let minute = 0; minute < 59; minute += 1) {
        await get();
        await clock.advance(MINUTE);
      }
      assert.ok(imds.asked.length < 10, `${imds.asked.length} calls`);
    });

    it('keeps a token that is newer than the call whose answer says that there is none', async () => {
      imds.reply = () => upstreamAnswer(errorText('Identity not found'), { status: 400 });
      imds.latencyMillis = 1_000;
      const older = begin();
      await settle();
      imds.latencyMillis = 20;
      imds.reply = target =>
        target.includes('bypass')
          ? upstreamAnswer(tokenText())
          : upstreamAnswer(errorText('x'), { status: 400 });
      await get(requestOf({ bypass_cache: 'true' }), 'other');
      await clock.advance(1_000);
      assert.equal(bodyOf(await older)['error'], 'invalid_request');
      assert.equal(viaOf(await get(requestOf(), 'other')), 'cache');
      assert.equal(broker.list().tokens.length, 1);
    });

    it('not what has ended, however IMDS refuses it', async () => {
      await get();
      imds.reply = () => upstreamAnswer(errorText('Failed to retrieve token'), { status: 500 });
      await clock.advance(HOUR + MINUTE);
      const calls = imds.asked.length;
      await clock.advance(HOUR);
      assert.equal(imds.asked.length, calls);
      assert.equal(clock.pendingTimers, 0, 'it would be tried again');
    });

    it('not what has ended while the VM slept, before somebody asks for it', async () => {
      await get();
      clock.setWall(2 * HOUR);
      await clock.advance(HOUR);
      assert.equal(imds.asked.length, 1);
    });

    it('drops a token whose identity IMDS does not know any more', async () => {
      await get();
      imds.reply = () => upstreamAnswer(errorText('Identity not found'), { status: 400 });
      await clock.advance(56 * MINUTE);
      assert.equal(bodyOf(await get())['error_description'], 'Identity not found');
    });
  });

  it('makes exactly the calls that the rule gives: 50 containers, 4 resources, 3 identities, one hour', async () => {
    let answered = 0;
    for (let second = 0; second < 3_600; second += 10) {
      const outcomes: Promise<TokenOutcome>[] = [];
      for (let container = 0; container < 50; container += 1) {
        // Each asks for one of its twelve tokens every ten seconds.
        const turn = (container + second / 10) % 12;
        const resource = `https://resource${turn % 4}.example`;
        const request = requestOf({ resource, client_id: clientId(turn % 3) });
        outcomes.push(begin(request, `client ${container}`));
      }
      await clock.advance(10_000);
      for (const outcome of await Promise.all(outcomes)) {
        assert.ok(Number(bodyOf(outcome)['expires_in']) > 0);
        answered += 1;
      }
    }
    // Each token once, and once more five minutes before its end.
    console.log(
      `      ${answered} requests in an hour, ${imds.asked.length} calls to IMDS (12 + 12 expected)`,
    );
    assert.equal(answered, 18_000);
    assert.equal(imds.asked.length, 24);
  });

  describe('while IMDS fails', () => {
    it('answers everybody for ten minutes without an error, as long as the token lives', async () => {
      await get();
      await clock.advance(48 * MINUTE);
      imds.reply = () => isDown();
      for (let second = 0; second < 600; second += 5) {
        assert.equal(viaOf(await get()), 'cache');
        await clock.advance(5_000);
      }
      const during = imds.asked.length - 1;
      assert.ok(during > 0 && during < 60, `${during} calls while it was down`);
      issueTokens();
      await clock.advance(35_000);
      assert.notEqual(bodyOf(await get())['access_token'], 'token 1');
    });

    it('passes a 429 on when it lasts, after a few tries only, whoever asks', async () => {
      imds.reply = () => upstreamAnswer(errorText('Temporarily throttled'), { status: 429 });
      const outcomes = Array.from({ length: 100 }, (_, index) =>
        begin(requestOf({ resource: `r${index}` }), `client ${index}`),
      );
      await clock.advance(PATIENCE_MILLIS);
      const kinds = (await Promise.all(outcomes)).map(outcome =>
        outcome.kind === 'answer' ? outcome.answer.status : outcome.kind,
      );
      assert.deepEqual([...new Set(kinds)].sort(), [429, 'throttled']);
      assert.ok(imds.asked.length <= 12, `${imds.asked.length} calls into the storm`);
    });

    it('is over a 410 of 70 seconds as soon as IMDS is, and passes it on before', async () => {
      imds.reply = () => upstreamAnswer('{"error":"Gone"}', { status: 410 });
      const startMillis = clock.monotonicMillis();
      const statuses: unknown[] = [];
      while (statuses.at(-1) !== 200) {
        if (clock.monotonicMillis() - startMillis >= 70_000) issueTokens();
        const outcome = await get();
        assert.ok(outcome.kind === 'answer');
        statuses.push(outcome.answer.status);
      }
      const afterMillis = clock.monotonicMillis() - startMillis;
      assert.deepEqual([...new Set(statuses)], [410, 200]);
      assert.ok(afterMillis < 90_000, `only after ${afterMillis} ms`);
    });

    const broken: [name: string, body: string, options: Parameters<typeof upstreamAnswer>[1]][] = [
      ['a body that was cut in the middle', tokenText().slice(0, 40), {}],
      ['no JSON', 'gibberish', {}],
      ['HTML of its front door', '<html>Bad Request</html>', { status: 400, contentType: 'text/html' }],
      ['text of what stands in for it', 'Internal Server Error', { status: 500, contentType: 'text/plain' }],
    ];
    for (const [name, body, options] of broken) {
      it(`asks again after ${name}, and gives that to nobody`, async () => {
        const fine = imds.reply;
        imds.reply = target => (imds.asked.length < 3 ? upstreamAnswer(body, options) : fine(target));
        assert.equal(bodyOf(await get())['access_token'], 'token 1');
        assert.equal(imds.asked.length, 3);
        imds.reply = () => upstreamAnswer(body, options);
        await assert.rejects(get(requestOf({ resource: 'other' })), (error: unknown) => {
          assert.ok(error instanceof MsiProxyError);
          assert.equal(error.code, 'MSI_UPSTREAM_UNUSABLE');
          assert.ok(!error.message.includes(body));
          return true;
        });
      });
    }

    it('waits for a slow answer as long as the client does', async () => {
      imds.latencyMillis = 9_000;
      assert.equal(viaOf(await get()), 'upstream');
    });
  });

  describe('remembers what was definitely refused', () => {
    beforeEach(() => {
      imds.reply = () => upstreamAnswer(errorText('Identity not found'), { status: 400 });
    });

    it('for five seconds, so that a client that crashes in a loop costs little', async () => {
      for (let second = 0; second < 60; second += 1) {
        const outcome = await get();
        assert.equal(bodyOf(outcome)['error_description'], 'Identity not found');
        await clock.advance(1_000);
      }
      assert.ok(imds.asked.length <= 12, `${imds.asked.length} calls in a minute`);
    });

    it('for this request only', async () => {
      await get();
      issueTokens();
      assert.equal(viaOf(await get(requestOf({ client_id: clientId(1) }))), 'upstream');
    });

    for (const status of [401, 403, 421]) {
      for (const body of ['', '<html>Forbidden</html>']) {
        it(`by what guards IMDS, in words that SDKs can read: ${status} with ${body || 'no body'}`, async () => {
          imds.reply = () => upstreamAnswer(body, { status, contentType: 'text/html' });
          const outcome = await get();
          assert.ok(outcome.kind === 'answer');
          assert.equal(outcome.answer.status, status);
          assert.equal(bodyOf(outcome)['error'], 'access_denied');
          assert.match(bodyOf(outcome)['error_description']!, /Guest Proxy Agent/);
          assert.doesNotMatch(bodyOf(outcome)['error_description']!, /unreachable/);
          assert.match(outcome.answer.contentType!, /^application\/json/);
          assert.equal(outcome.answer.contentLength, String(outcome.answer.body.length));
          assert.equal(viaOf(await get()), 'cache');
          assert.equal(imds.asked.length, 1);
        });
      }
    }

    it('by what guards IMDS, without taking a token from anybody', async () => {
      issueTokens();
      await get();
      imds.reply = () => upstreamAnswer('', { status: 421 });
      await clock.advance(56 * MINUTE);
      assert.ok(imds.asked.length > 1);
      assert.equal(bodyOf(await get())['access_token'], 'token 1');
    });

    it('until it is flushed', async () => {
      await get();
      issueTokens();
      assert.equal(broker.flush(), 0);
      assert.equal(viaOf(await get()), 'upstream');
    });
  });

  describe('gives nobody the token of another identity', () => {
    it('than the one that was named', async () => {
      const identity: IdentityRef = { kind: 'client-id', id: clientId(1) };
      imds.reply = () => upstreamAnswer(tokenText({ client_id: clientId(2) }));
      await assert.rejects(get(requestOf({ client_id: clientId(1) }, identity)), {
        code: 'MSI_UPSTREAM_WRONG_IDENTITY',
      });
    });

    it('in the place of the system-assigned one, also when another client has got it as whichever there is', async () => {
      const token = tokenWith({ xms_mirid: USER_ASSIGNED });
      imds.reply = () => upstreamAnswer(tokenText({ access_token: token }));
      assert.equal(viaOf(await get()), 'upstream');
      assert.equal(viaOf(await get(requestOf({}, { kind: 'system' }))), 'other-identity');
      assert.equal(viaOf(await get()), 'cache');
    });
  });

  describe('fetches ahead', () => {
    it('when nothing else is to do, so that the client finds its token', async () => {
      for (let index = 0; index < 5; index += 1) {
        void begin(requestOf({ resource: `r${index}` }), `busy ${index}`);
      }
      broker.prefetch(requestOf(), 'client');
      void begin(requestOf({ resource: 'late' }), 'other');
      await clock.advance(60);
      assert.match(imds.asked[5]!, /late/);
      assert.match(imds.asked[6]!, /vault/);
      assert.equal(viaOf(await get()), 'cache');
    });

    it('nothing that is there, under way, or was just refused', async () => {
      await get();
      broker.prefetch(requestOf(), 'client');
      const other = requestOf({ resource: 'other' });
      broker.prefetch(other, 'client');
      broker.prefetch(other, 'client');
      await clock.advance(100);
      assert.equal(imds.asked.length, 2);
      imds.reply = () => upstreamAnswer(errorText('Identity not found'), { status: 400 });
      const unknown = requestOf({ client_id: clientId(9) });
      broker.prefetch(unknown, 'client');
      await clock.advance(100);
      broker.prefetch(unknown, 'client');
      await clock.advance(100);
      assert.equal(imds.asked.length, 3);
    });

    it('and does not refresh what nobody has asked for', async () => {
      broker.prefetch(requestOf(), 'client');
      await clock.advance(2 * HOUR);
      assert.equal(imds.asked.length, 1);
    });

    it('and a client that asks while it hangs is served by another try', async () => {
      imds.latencyMillis = 60_000;
      broker.prefetch(requestOf(), 'client');
      await clock.advance(5_000);
      const asking = begin();
      await clock.advance(5_100);
      imds.latencyMillis = 20;
      await clock.advance(1_000);
      assert.equal(imds.asked.length, 2);
      assert.equal(bodyOf(await asking)['access_token'], 'token 1');
    });

    it('and a client that asks meanwhile does not wait at the end of the line', async () => {
      for (let index = 0; index < 5; index += 1) {
        void begin(requestOf({ resource: `r${index}` }), `busy ${index}`);
      }
      broker.prefetch(requestOf(), 'client');
      const asking = begin(requestOf(), 'client');
      void begin(requestOf({ resource: 'late' }), 'other');
      await clock.advance(45);
      assert.equal(viaOf(await asking), 'shared');
    });
  });

  describe('is bounded', () => {
    it('in tokens: what was not asked for longest leaves', async () => {
      broker = createBroker({ maxEntries: 2 });
      for (const resource of ['a', 'b']) await get(requestOf({ resource }));
      await get(requestOf({ resource: 'a' }));
      await get(requestOf({ resource: 'c' }));
      assert.deepEqual(
        broker.list().tokens.map(({ resource }) => resource),
        ['c', 'a'],
      );
      assert.equal(clock.pendingTimers, 2, 'the one that left is still to be refreshed');
    });

    it('in what one container may take of it: whoever asks for ever new tokens loses its own', async () => {
      broker = createBroker({ maxEntries: 16 });
      for (const resource of ['a', 'b']) await get(requestOf({ resource }), 'modest');
      await get(requestOf({ resource: 'shared' }), 'greedy');
      await get(requestOf({ resource: 'shared' }), 'modest');
      for (let index = 0; index < 40; index += 1) {
        await get(requestOf({ resource: 'x', unknown: String(index) }), 'greedy');
      }
      for (const resource of ['a', 'b', 'shared']) {
        assert.equal(viaOf(await get(requestOf({ resource }), 'modest')), 'cache', resource);
      }
      assert.equal(viaOf(await get(requestOf({ resource: 'x', unknown: '39' }), 'greedy')), 'cache');
      assert.equal(broker.count().valid, 16);
    });

    it('in what a container may take that does not wait for its answers', async () => {
      broker = createBroker({ maxEntries: 16 });
      await get(requestOf(), 'modest');
      for (let index = 0; index < 40; index += 1) {
        const client = new FakeClient();
        const deadlineMillis = clock.monotonicMillis() + PATIENCE_MILLIS;
        const request = requestOf({ unknown: String(index) });
        const outcome = broker.get(request, { source: 'greedy', deadlineMillis, client });
        client.leave();
        await assert.rejects(outcome, { code: 'MSI_CLIENT_LEFT' });
        await clock.advance(1_000);
      }
      assert.equal(imds.asked.length, 41);
      assert.equal(viaOf(await get(requestOf(), 'modest')), 'cache');
    });

    it('in bytes that one container may take of it', async () => {
      broker = createBroker({ maxBytes: 100_000 });
      imds.reply = () => upstreamAnswer(tokenText({ access_token: 'x'.repeat(1_000) }));
      await get(requestOf(), 'modest');
      for (let index = 0; index < 40; index += 1) await get(requestOf({ resource: `r${index}` }), 'greedy');
      assert.ok(broker.count().valid < 40);
      assert.equal(viaOf(await get(requestOf(), 'modest')), 'cache');
    });

    it('by not keeping what was got with claims, which nobody else would ask for', async () => {
      await get(requestOf({ claims: 'x' }));
      assert.equal(viaOf(await get(requestOf({ claims: 'x' }))), 'upstream');
      assert.equal(broker.count().valid, 0);
    });

    it('in bytes', async () => {
      broker = createBroker({ maxBytes: 40_000 });
      const large = 'x'.repeat(1_000);
      imds.reply = () => upstreamAnswer(tokenText({ access_token: large }));
      for (let index = 0; index < 20; index += 1) await get(requestOf({ resource: `r${index}` }));
      assert.ok(broker.list().tokens.length > 0 && broker.list().tokens.length < 5);
    });
  });

  describe('names for a proxy that stands by', () => {
    const names = () => broker.given().map(({ target }) => target);

    it('the same tokens while they are valid, though more are in use', async () => {
      const requests = Array.from({ length: MAX_GIVEN_TOKENS + 8 }, (_, index) =>
        requestOf({ resource: `r${index}` }),
      );
      for (const request of requests) await get(request);
      const first = names();
      assert.equal(first.length, MAX_GIVEN_TOKENS);
      for (const request of requests.toReversed()) await get(request);
      assert.deepEqual(names(), first);
    });

    it('another one for each that has ended, the one that was asked for last', async () => {
      for (let index = 0; index < MAX_GIVEN_TOKENS; index += 1)
        await get(requestOf({ resource: `r${index}` }));
      const first = names();
      await clock.advance(30 * MINUTE);
      await get(requestOf({ resource: 'late' }));
      assert.deepEqual(names(), first);
      imds.reply = () => isDown();
      await clock.advance(31 * MINUTE);
      assert.deepEqual(names(), [requestOf({ resource: 'late' }).plainTarget]);
    });
  });

  describe('shows what it holds', () => {
    it('without a byte of a token', async () => {
      await get();
      await clock.advance(10_000 - 20);
      await get();
      await get();
      assert.deepEqual(broker.list().tokens, [
        {
          resource: VAULT,
          ageSeconds: 9,
          expiresAt: '2026-01-01T01:00:01.000Z',
          hits: 2,
          id: 1,
          containerIds: ['client'],
        },
      ]);
      assert.doesNotMatch(JSON.stringify(broker.list().tokens), /token/);
    });

    it('with the containers that have it, also when it was renewed for them', async () => {
      const holders = () => broker.list().tokens.flatMap(({ containerIds }) => [...(containerIds ?? [])]);
      broker.prefetch(requestOf(), 'nobody');
      await clock.advance(100);
      assert.deepEqual(holders(), [], 'fetched ahead, and given to nobody');
      await get(requestOf(), 'one');
      await get(requestOf(), 'other');
      await get(requestOf(), 'one');
      assert.deepEqual(holders(), ['one', 'other']);
      const [before] = broker.list().tokens;
      await clock.advance(56 * MINUTE);
      assert.deepEqual(holders(), ['one', 'other']);
      assert.notEqual(broker.list().tokens[0]?.id, before?.id);
    });

    it('and drops it, all or those of one identity', async () => {
      const one: IdentityRef = { kind: 'client-id', id: clientId(1) };
      const two: IdentityRef = { kind: 'client-id', id: clientId(2) };
      imds.reply = target =>
        upstreamAnswer(tokenText({ client_id: target.includes(clientId(1)) ? clientId(1) : clientId(2) }));
      await get(requestOf({ client_id: clientId(1) }, one));
      await get(requestOf({ client_id: clientId(2) }, two));
      assert.equal(broker.flush(one), 1);
      assert.deepEqual(
        broker.list().tokens.map(({ identity }) => identity),
        [clientId(2)],
      );
      assert.equal(broker.flush(), 1);
      assert.deepEqual(broker.list().tokens, []);
    });

    it('and what is being asked for when it is dropped is for those alone who wait for it', async () => {
      imds.latencyMillis = 1_000;
      const before = begin(requestOf(), 'early');
      await clock.advance(500);
      broker.flush();
      const after = begin(requestOf(), 'late');
      await clock.advance(600);
      assert.equal(bodyOf(await before)['access_token'], 'token 1');
      await clock.advance(1_000);
      assert.equal(bodyOf(await after)['access_token'], 'token 2');
      assert.equal(bodyOf(await get())['access_token'], 'token 2');
      assert.equal(imds.asked.length, 2);
    });

    it('and a refusal that was under way when it is dropped is not remembered', async () => {
      imds.reply = () => upstreamAnswer(errorText('Identity not found'), { status: 400 });
      imds.latencyMillis = 1_000;
      const before = begin();
      await clock.advance(500);
      broker.flush();
      await clock.advance(600);
      assert.equal(bodyOf(await before)['error'], 'invalid_request');
      issueTokens();
      assert.equal(viaOf(await get()), 'upstream');
    });

    it('and goes on to refresh what stays when others are dropped', async () => {
      const one: IdentityRef = { kind: 'client-id', id: clientId(1) };
      imds.reply = () => upstreamAnswer(tokenText({ client_id: clientId(1), expires_in: '3600' }));
      await get(requestOf({ client_id: clientId(1) }, one));
      imds.latencyMillis = 1_000;
      await clock.advance(55 * MINUTE + 500);
      assert.equal(imds.asked.length, 2);
      assert.equal(broker.flush({ kind: 'client-id', id: clientId(2) }), 0);
      await clock.advance(5_000);
      assert.equal(imds.asked.length, 3);
      assert.ok(Number(bodyOf(await get(requestOf({ client_id: clientId(1) }, one)))['expires_in']) > 3_000);
      assert.deepEqual(broker.count(), { valid: 1, failing: 0, failingNearExpiry: 0 });
    });
  });
});
