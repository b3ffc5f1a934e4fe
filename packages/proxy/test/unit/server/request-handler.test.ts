import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MsiProxyError, silentLogger, type LogFields, type Logger } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { AuditLog } from '../../../src/audit.ts';
import { CallerResolver } from '../../../src/callers/caller-resolver.ts';
import { CallerStatistics } from '../../../src/callers/caller-statistics.ts';
import { CallerTable } from '../../../src/callers/caller-table.ts';
import { passGate } from '../../../src/gate/request-gate.ts';
import type { Answered, AnswerSource, KeptAnswer } from '../../../src/server/answer-source.ts';
import { ReadyEndpoint } from '../../../src/server/ready-endpoint.ts';
import { ProxyMetrics } from '../../../src/metrics/proxy-metrics.ts';
import { RequestHandler } from '../../../src/server/request-handler.ts';
import { callerAt, grantOf, UNLABELLED } from '../support/callers.ts';
import { FakeConfirmationSource } from '../support/fake-confirmation-source.ts';
import { ask, CLIENT_ADDRESS, open, requestText, type RawAnswer } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const VERSIONS = '/metadata/versions';
const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';

function answerOf(body: Buffer): KeptAnswer & { kind: 'answer' } {
  return {
    kind: 'answer',
    answer: {
      status: 200,
      statusText: 'OK',
      rawHeaders: [],
      contentType: undefined,
      contentEncoding: undefined,
      contentLength: undefined,
      body,
    },
    via: 'upstream',
  };
}

describe('the handler of requests', () => {
  let clock: FakeClock;
  let server: Server;
  let port: number;
  let source: AnswerSource;
  let statistics: CallerStatistics;
  let handler: RequestHandler;
  let keptAnswer: () => KeptAnswer | undefined;
  let audited: LogFields[];
  let table: CallerTable;
  let monitor: FakeConfirmationSource;
  let confirmAfterMillis: number;
  let holdMillis: number;
  const errors: unknown[] = [];

  beforeEach(async () => {
    clock = new FakeClock();
    errors.length = 0;
    keptAnswer = () => undefined;
    audited = [];
    confirmAfterMillis = 60_000;
    holdMillis = 0;
    const logger: Logger = {
      ...silentLogger,
      info: (_message, fields = {}) => audited.push(fields),
      warn: (_message, fields = {}) => audited.push(fields),
      error: (_message, fields) => errors.push(fields?.err),
    };
    table = new CallerTable(clock);
    table.confirm(callerAt(CLIENT_ADDRESS));
    statistics = new CallerStatistics(clock);
    monitor = new FakeConfirmationSource();
    monitor.become('none');
    const resolver = new CallerResolver({
      table,
      monitor,
      clock,
      limits: () => ({
        confirmAfterMillis,
        callerWaitMillis: 0,
        holdMillis,
        silenceGraceMillis: 0,
      }),
    });
    handler = new RequestHandler({
      metrics: new ProxyMetrics(0),
      ready: new ReadyEndpoint({
        instanceId: 'instance',
        resolver,
        health: () => ({ healthy: true, details: {} }),
        isDraining: () => false,
      }),
      table,
      resolver,
      statistics,
      // Which has a timer for what it counts.
      audit: new AuditLog(logger, new FakeClock()),
      logger,
      clock,
      policy: { mode: 'enforce', requireIdentity: false },
      sources: () => source,
      keptAnswer: () => keptAnswer(),
      endsConnections: () => false,
    });
    server = createServer((request, response) => handler.handle(request, response));
    await new Promise<void>(resolve => {
      server.listen(0, '127.0.0.1', resolve);
    });
    ({ port } = server.address() as AddressInfo);
  });

  afterEach(async () => {
    const closed = new Promise(resolve => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });

  it('answers what goes wrong inside with 500, for that request only, and logs it', async () => {
    const bug = new TypeError('a bug');
    source = () => Promise.reject(bug);
    const answer = await ask(VERSIONS, { port });
    assert.equal(answer.status, 500);
    assert.deepEqual(JSON.parse(answer.body), { error: 'Internal error' });
    assert.deepEqual(errors, [bug]);
    source = () => Promise.resolve(answerOf(Buffer.from('{}')));
    assert.equal((await ask(VERSIONS, { port })).status, 200);
  });

  it('ends the connection to a client that does not read its answer', async () => {
    source = () => Promise.resolve(answerOf(Buffer.alloc(64 * 1024 * 1024)));
    const client = open({ port });
    client.pause();
    client.write(requestText(VERSIONS));
    await until(() => clock.pendingTimers === 1);
    await clock.advance(9_999);
    await clock.advance(1);
    client.resume();
    await new Promise(resolve => {
      client.on('close', resolve);
    });
    assert.ok(client.bytesRead < 64 * 1024 * 1024, 'the whole answer was kept for the client');
    assert.equal(clock.pendingTimers, 0);
  });

  it('holds nothing for clients that leave while nobody can say who they are', async () => {
    holdMillis = 30_000;
    await clock.advance(60_001);
    const clients = Array.from({ length: 20 }, () => open({ port }));
    // Several requests over one connection, too.
    for (const client of clients)
      client.write(requestText(VERSIONS).replace('close', 'keep-alive').repeat(3));
    await until(() => clock.pendingTimers === 60);
    for (const client of clients) client.destroy();
    await until(() => clock.pendingTimers === 0);
    // Which is written once for the same again and again.
    await until(() => audited.length === 1);
    assert.equal(audited[0]?.['reason'], 'client-left');
  });

  it('leaves no timer behind after an answer that was read', async () => {
    source = () => Promise.resolve(answerOf(Buffer.from('{}')));
    await ask(VERSIONS, { port });
    await until(() => clock.pendingTimers === 0);
  });

  it('counts what each container asked, and what it was refused', async () => {
    source = () => Promise.resolve(answerOf(Buffer.from('{}')));
    await ask(VERSIONS, { port });
    await ask('/metadata/attested/document?api-version=2020-09-01', { port });
    assert.deepEqual(statistics.report(), [
      {
        containerId: 'c'.repeat(64),
        requests: 2,
        refusals: 1,
        lastRefusal: { at: new Date(clock.wallMillis()).toISOString(), reason: 'endpoint-not-granted' },
      },
    ]);
  });

  describe('asked for what IMDS takes longer for than a confirmation is good for', () => {
    const CALLER = callerAt(CLIENT_ADDRESS);
    let imds: PromiseWithResolvers<Answered>;
    let asking: Promise<RawAnswer>;

    beforeEach(async () => {
      confirmAfterMillis = 100;
      holdMillis = 30_000;
      monitor.become('live');
      imds = Promise.withResolvers();
      let isAsked = false;
      source = () => {
        isAsked = true;
        return imds.promise;
      };
      asking = ask(VERSIONS, { port });
      await until(() => isAsked);
      clock.pass(101);
    });

    function answers(): void {
      imds.resolve(answerOf(Buffer.from('{"secret":1}')));
    }

    it('confirms who has the address before it answers', async () => {
      answers();
      await until(() => monitor.asked.length === 1);
      monitor.answer({ kind: 'caller', caller: CALLER });
      assert.equal((await asking).body, '{"secret":1}');
      assert.deepEqual(monitor.asked, [CLIENT_ADDRESS]);
      assert.equal(clock.pendingTimers, 0);
    });

    it('gives the answer to nobody else who has the address by then, though no event has told of it', async () => {
      answers();
      await until(() => monitor.asked.length === 1);
      const caller = callerAt(CLIENT_ADDRESS, { containerId: 'd'.repeat(64), grant: UNLABELLED });
      monitor.answer({ kind: 'caller', caller });
      assert.equal((await asking).text, '');
      assert.equal(audited.at(-1)?.['reason'], 'caller-gone');
    });

    it('gives it to nobody when nobody has the address any more', async () => {
      answers();
      await until(() => monitor.asked.length === 1);
      monitor.answer({ kind: 'nobody' });
      assert.equal((await asking).text, '');
      assert.equal(audited.at(-1)?.['reason'], 'caller-gone');
    });

    it('does not give what the container may have no more by then', async () => {
      answers();
      await until(() => monitor.asked.length === 1);
      const caller = callerAt(CLIENT_ADDRESS, { grant: grantOf({ endpoints: [] }) });
      monitor.answer({ kind: 'caller', caller });
      assert.equal((await asking).status, 503);
      assert.equal(audited.at(-1)?.['reason'], 'policy-changed');
    });

    it('waits for a monitor that is away, as requests do', async () => {
      monitor.endSession();
      answers();
      await until(() => clock.pendingTimers === 1);
      monitor.become('live');
      await until(() => monitor.asked.length === 1);
      monitor.answer({ kind: 'caller', caller: CALLER });
      assert.equal((await asking).status, 200);
    });

    it('tells the client to try again when no monitor comes', async () => {
      monitor.endSession();
      answers();
      await until(() => clock.pendingTimers === 1);
      await clock.advance(holdMillis);
      const answer = await asking;
      assert.equal(answer.status, 503);
      assert.match(answer.body, /Try again: no monitor is connected/);
      assert.equal(answer.headers['connection'], 'close');
      assert.equal(audited.at(-1)?.['reason'], 'caller-unconfirmed');
    });

    it('tells of a changed policy also when IMDS was not asked for that reason', async () => {
      table.learn(callerAt(CLIENT_ADDRESS, { grant: grantOf({ endpoints: [] }) }));
      imds.reject(new MsiProxyError('MSI_CLIENT_LEFT', 'nobody is to have it'));
      const answer = await asking;
      assert.equal(answer.status, 503);
      assert.match(answer.body, /policy of this container has changed/);
      assert.equal(audited.at(-1)?.['reason'], 'policy-changed');
    });

    it('asks nobody when somebody has confirmed it meanwhile', async () => {
      table.confirm(CALLER);
      answers();
      assert.equal((await asking).status, 200);
      assert.deepEqual(monitor.asked, []);
    });

    it('asks nobody about what is no answer of IMDS', async () => {
      imds.resolve({ kind: 'throttled' });
      assert.equal((await asking).status, 429);
      assert.deepEqual(monitor.asked, []);
    });
  });

  describe('asked for what is kept', () => {
    function known() {
      const verdict = passGate({ method: 'GET', target: TOKEN, rawHeaders: ['Metadata', 'true'] });
      assert.equal(verdict.kind, 'pass');
      const later = () => assert.fail('nothing is to be waited for');
      return handler.known({ gated: verdict.request, headers: {} }, CLIENT_ADDRESS, { close: false, later });
    }

    it('tells in the audit line how long it took', () => {
      keptAnswer = () => {
        clock.pass(7);
        return { answer: answerOf(Buffer.from('{}')).answer, via: 'cache' };
      };
      const answered = known();
      assert.ok(typeof answered === 'string' && answered.startsWith('HTTP/1.1 200 '));
      assert.equal(audited[0]?.['durationMillis'], 7);
    });

    it('leaves to the usual way what goes wrong inside', () => {
      keptAnswer = () => {
        throw new TypeError('a bug');
      };
      assert.equal(known(), undefined);
    });
  });
});
