import assert from 'node:assert/strict';
import { silentLogger, TOKEN_PATH } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { StandbyTokens } from '../../../src/tokens/standby-tokens.ts';
import { TokenBroker } from '../../../src/tokens/token-broker.ts';
import { tokenRequestOf } from '../../../src/tokens/token-request.ts';
import { CallBudget } from '../../../src/upstream/budget/call-budget.ts';
import { UpstreamCalls } from '../../../src/upstream/upstream-calls.ts';
import { FakeImds, isDown, upstreamAnswer } from '../support/fake-imds.ts';
import { tokenText } from '../support/token-text.ts';

const LIFETIME_SECONDS = 3_600;

describe('the tokens of a proxy that stands by', () => {
  let clock: FakeClock;
  let imds: FakeImds;
  let broker: TokenBroker;
  let standby: StandbyTokens;

  beforeEach(() => {
    clock = new FakeClock();
    imds = new FakeImds(clock, () =>
      upstreamAnswer(tokenText({ access_token: 'token', expires_in: String(LIFETIME_SECONDS) })),
    );
    broker = createBroker();
    standby = new StandbyTokens({ broker, clock });
  });

  afterEach(() => {
    standby.stop();
    broker.stop();
  });

  function createBroker(): TokenBroker {
    const random = () => 0.5;
    const limits = { identityPerSecond: 20, identityConcurrent: 5, generalPerSecond: 5 };
    return new TokenBroker({
      calls: new UpstreamCalls({ budget: new CallBudget({ clock, random, ...limits }), clock, random }),
      send: imds.send,
      clock,
      random,
      logger: silentLogger,
      maxEntries: 1_000,
      maxBytes: 1_000_000,
    });
  }

  function target(resource: string, more: Readonly<Record<string, string>> = {}): string {
    return requestFor(resource, more).plainTarget;
  }

  function requestFor(resource: string, more: Readonly<Record<string, string>> = {}) {
    const parameters = Object.entries({ 'api-version': '2018-02-01', resource, ...more });
    return tokenRequestOf(
      parameters.map(([name, value]) => ({ name, value })),
      undefined,
    );
  }

  function follow(...targets: string[]): void {
    standby.follow(targets.map(each => ({ target: each, sinceMillis: clock.wallMillis() - 1_000 })));
  }

  async function pass(millis: number): Promise<void> {
    await settle();
    for (let passed = 0; passed < millis; passed += 100) {
      await clock.advance(100);
      await settle();
    }
  }

  it('are those that the serving one keeps, so that the first request waits for nobody', async () => {
    follow(target('https://vault.azure.net'));
    await pass(200);

    const outcome = broker.kept(requestFor('https://vault.azure.net'), 'client');

    assert.ok(outcome?.kind === 'answer');
    assert.equal(outcome.via, 'cache');
    assert.deepEqual(imds.asked, [target('https://vault.azure.net')]);
  });

  it('are asked for one a second, so that clients have the rest of the budget', async () => {
    follow(...['a', 'b', 'c'].map(name => target(`https://${name}.example`)));
    const times: number[] = [];
    for (let passed = 0; passed < 3_000; passed += 100) {
      await pass(100);
      if (imds.asked.length > times.length) times.push(clock.monotonicMillis());
    }

    assert.equal(times.length, 3);
    assert.equal(imds.mostAtOnce, 1);
    assert.ok(times[2]! - times[0]! >= 2_000, times.join());
  });

  it('are asked for one a second also when the list is another one again and again', async () => {
    for (let index = 0; index < 20; index += 1) {
      follow(target(`https://${index}.example`), target(`https://${index + 1}.example`));
      await pass(200);
    }

    assert.ok(imds.asked.length <= 5, `${imds.asked.length} in 4 s`);
    assert.equal(imds.mostAtOnce, 1);
  });

  it('are asked for one after the other also when IMDS is slow and the list changes', async () => {
    imds.latencyMillis = 5_000;
    for (let index = 0; index < 10; index += 1) {
      follow(target(`https://${index}.example`));
      await pass(1_000);
    }

    assert.equal(imds.mostAtOnce, 1);
  });

  it('leave nothing behind when this proxy serves', async () => {
    follow(target('https://vault.azure.net'));
    await pass(200);
    const kept = clock.pendingTimers;
    standby.stop();
    broker.stop();

    assert.ok(kept > 0);
    assert.equal(clock.pendingTimers, 0);
  });

  it('are not asked for again while they are as new as those of the serving one', async () => {
    follow(target('https://vault.azure.net'));
    await pass(200);
    follow(target('https://vault.azure.net'), target('https://storage.azure.com'));
    await pass(40_000);

    assert.deepEqual(imds.asked, [target('https://vault.azure.net'), target('https://storage.azure.com')]);
  });

  it('are asked for again when the serving one has got another, as after `msi-proxy tokens flush`', async () => {
    const given = target('https://vault.azure.net');
    follow(given);
    await pass(5_000);

    standby.follow([{ target: given, sinceMillis: clock.wallMillis() - 1_000 }]);
    await pass(200);

    assert.equal(imds.asked.length, 2);
  });

  it('are asked for again when they have ended', async () => {
    follow(target('https://vault.azure.net'));
    await pass(200);
    await clock.advance(LIFETIME_SECONDS * 1_000);
    await pass(31_000);

    assert.equal(imds.asked.length, 2);
  });

  it('are dropped when the serving one has dropped them', async () => {
    follow(target('https://vault.azure.net'), target('https://storage.azure.com'));
    await pass(2_000);

    follow(target('https://storage.azure.com'));
    await pass(200);

    assert.equal(broker.kept(requestFor('https://vault.azure.net'), 'client'), undefined);
    assert.equal(broker.kept(requestFor('https://storage.azure.com'), 'client')?.kind, 'answer');
  });

  it('are tried again after a while when IMDS did not answer', async () => {
    const answers = imds.reply;
    imds.reply = () => isDown();
    follow(target('https://vault.azure.net'));
    await pass(32_000);
    imds.reply = answers;
    await pass(62_000);

    assert.equal(broker.kept(requestFor('https://vault.azure.net'), 'client')?.kind, 'answer');
  });

  it('are not asked for by a proxy that serves by then', async () => {
    follow(...['a', 'b', 'c'].map(name => target(`https://${name}.example`)));
    await pass(200);

    standby.stop();
    await pass(5_000);

    assert.equal(imds.asked.length, 1);
    assert.equal(
      broker.kept(requestFor('https://a.example'), 'client')?.kind,
      'answer',
      'what is there stays',
    );
  });

  for (const [what, odd] of Object.entries({
    'no path': '',
    'another path': '/metadata/instance?api-version=2018-02-01&resource=x',
    'another spelling': `${TOKEN_PATH}?resource=https://vault.azure.net&api-version=2018-02-01`,
    'no resource': `${TOKEN_PATH}?api-version=2018-02-01`,
    'a line break': `${target('https://vault.azure.net')}\r\nX: 1`,
    'another host': `http://example.com${target('https://vault.azure.net')}`,
    'two identities': target('https://vault.azure.net', {
      client_id: '00000000-0000-0000-0000-000000000001',
      object_id: '00000000-0000-0000-0000-000000000001',
    }),
    'a wish for a fresh one': requestFor('https://vault.azure.net', { bypass_cache: 'true' }).target,
    'no text': 1 as unknown as string,
  })) {
    it(`are no reason to ask IMDS for a target with ${what}`, async () => {
      standby.follow([{ target: odd, sinceMillis: 0 }]);
      await pass(200);

      assert.deepEqual(imds.asked, []);
    });
  }

  it('do not ask again and again when the clock was set back', async () => {
    const given = target('https://vault.azure.net');
    standby.follow([{ target: given, sinceMillis: clock.wallMillis() + 3_600_000 }]);
    await pass(100_000);

    assert.equal(imds.asked.length, 1);
  });
});
