import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { EventEmitter } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  CONTROL_PROTOCOL,
  HEARTBEAT_INTERVAL_MILLIS,
  HEARTBEAT_TIMEOUT_MILLIS,
  newWitnessKey,
  SILENCE_MILLIS,
  silentLogger,
  WITNESS_HEADER,
  WitnessQuestion,
  type GivenToken,
  type IdentityRef,
  type Report,
  type TokenSummary,
} from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { CallerTable } from '../../../src/callers/caller-table.ts';
import { ControlServer } from '../../../src/control/control-server.ts';
import { flushTokens, listTokens } from '../../../src/control/tokens-command.ts';
import { callerAt } from '../support/callers.ts';
import { FakeMonitor } from '../support/fake-monitor.ts';
import { until } from '../support/until.ts';

const A = '172.17.0.2';
const B = '172.17.0.3';

/** Node tells there which server listens. */
const LISTENING = 'tracing:net.server.listen:asyncStart';

/** A clock whose process can be paused: time goes on, and no timer fires. */
class StallingClock extends FakeClock {
  #stalledMillis = 0;

  stall(millis: number): void {
    this.#stalledMillis += millis;
  }

  override monotonicMillis(): number {
    return super.monotonicMillis() + this.#stalledMillis;
  }
}

const TOKEN: TokenSummary = {
  identity: 'system',
  resource: 'https://vault.azure.net',
  ageSeconds: 1,
  expiresAt: '2026-01-02T00:00:00.000Z',
  hits: 2,
};

/** All of it, however many writes it took: from Node 26 on, `read()` gives one of them. */
async function writtenTo(stream: PassThrough): Promise<string> {
  return text(stream.end());
}

describe('the control server', () => {
  let folder: string;
  let socketPath: string;
  let clock: StallingClock;
  let table: CallerTable;
  let report: Report;
  let begunServing: number;
  let routesMoved: number;
  let moreTokens: number;
  let followed: (readonly GivenToken[])[];
  let flushed: (IdentityRef | undefined)[];
  let server: ControlServer;
  let states: string[];
  let logged: string[];
  const monitors: FakeMonitor[] = [];

  function connectMonitor(): FakeMonitor {
    const monitor = new FakeMonitor(socketPath);
    monitors.push(monitor);
    return monitor;
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'msi-proxy-'));
    socketPath = join(folder, 'run', 'control.sock');
    clock = new StallingClock();
    table = new CallerTable(clock);
    report = { type: 'report', upstream: { state: 'unknown' }, draining: false, callers: [] };
    states = [];
    logged = [];
    flushed = [];
    begunServing = 0;
    routesMoved = 0;
    moreTokens = 0;
    followed = [];
    server = new ControlServer({
      metrics: () => ({ tokens: [3] }),
      socketPath,
      table,
      clock,
      logger: { ...silentLogger, error: message => logged.push(message) },
      instanceId: 'instance',
      proxyVersion: '1.2.3',
      port: () => 8080,
      report: () => report,
      tokens: {
        list: () => ({ tokens: [TOKEN], more: moreTokens }),
        flush: identity => flushed.push(identity),
      },
      onStandby: tokens => followed.push(tokens),
      onRouteMoved: () => {
        routesMoved += 1;
      },
      onServing: () => {
        begunServing += 1;
      },
    });
    server.onMonitorStateChange(() => states.push(server.monitorState));
    await server.start();
  });

  afterEach(async () => {
    for (const monitor of monitors.splice(0)) monitor.leave();
    await server.stop();
    await rm(folder, { recursive: true });
    assert.equal(clock.pendingTimers, 0, 'a timer was leaked');
  });

  it('opens a socket that only its owner can use, in a folder that only its owner can see', async () => {
    assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
    assert.equal((await stat(join(folder, 'run'))).mode & 0o777, 0o700);
  });

  it('takes over the socket that a killed server left', async () => {
    await server.stop();
    await writeFile(socketPath, '');
    await server.start();
    await connectMonitor().join([]);
  });

  it('survives connections that cannot be accepted, however many', async () => {
    await server.stop();
    let accepting: EventEmitter | undefined;
    const see = (message: unknown) => {
      accepting = (message as { readonly server: EventEmitter }).server;
    };
    subscribe(LISTENING, see);
    await server.start();
    unsubscribe(LISTENING, see);
    for (let count = 0; count < 3; count += 1) accepting?.emit('error', new Error('accept EMFILE'));
    assert.deepEqual(
      logged,
      Array.from({ length: 3 }, () => 'A control session could not be accepted'),
    );
    await connectMonitor().join([]);
  });

  describe('begins a session', () => {
    it('by saying who it is', async () => {
      const monitor = await connectMonitor().join([]);
      assert.deepEqual(monitor.received[0], {
        type: 'welcome',
        protocol: CONTROL_PROTOCOL,
        sessionId: 'session',
        proxyVersion: '1.2.3',
        instanceId: 'instance',
        port: 8080,
      });
    });

    it('that counts from the first snapshot on', async () => {
      const monitor = connectMonitor();
      monitor.hello();
      await until(() => monitor.messages('welcome').length === 1);
      assert.equal(server.monitorState, 'none');
      await monitor.snapshot([callerAt(A)]);
      assert.equal(server.monitorState, 'live');
      assert.deepEqual(states, ['live']);
    });

    it('not with a monitor of another protocol, which is told the version of this one', async () => {
      const monitor = connectMonitor();
      monitor.hello(CONTROL_PROTOCOL + 1);
      await until(() => monitor.isEnded);
      assert.equal(monitor.messages('welcome')[0]?.protocol, CONTROL_PROTOCOL);
      assert.equal(server.monitorState, 'none');
    });

    it('not with one that is replaced by an unfit one', async () => {
      const monitor = await connectMonitor().join([callerAt(A)]);
      const other = connectMonitor();
      other.hello(CONTROL_PROTOCOL + 1);
      await until(() => other.isEnded);
      assert.equal(server.monitorState, 'live');
      assert.equal(monitor.isEnded, false);
    });

    const faults: [name: string, text: string][] = [
      ['that does not say hello', '{"type":"heartbeat","sessionId":"x"}\n'],
      ['that does not speak JSON', 'GET / HTTP/1.1\n'],
      ['that sends what has no type', '{"surprise":1}\n'],
    ];
    for (const [name, text] of faults) {
      it(`not with one ${name}`, async () => {
        const monitor = connectMonitor();
        monitor.sendText(text);
        await until(() => monitor.isEnded);
        assert.equal(server.monitorState, 'none');
      });
    }
  });

  it('does without messages and fields that only a later monitor knows', async () => {
    const monitor = connectMonitor();
    monitor.sendText('{"type":"preface","for":"later versions"}\n');
    await monitor.join([callerAt(A)]);
    monitor.sendText(
      '{"type":"surprise"}\n{"type":"delta","revision":2,"removed":[],"upserted":[],"why":"x"}\n',
    );
    await until(() => monitor.messages('ack').some(({ revision }) => revision === 2));
    assert.equal(server.monitorState, 'live');
    assert.equal(monitor.isEnded, false);
    assert.equal(table.size, 1);
  });

  describe('keeps the table', () => {
    it('as snapshots and deltas say, where an address can change hands in one delta', async () => {
      const monitor = await connectMonitor().join([callerAt(A), callerAt(B)]);
      await monitor.delta([A], [callerAt(A, { containerId: 'd'.repeat(64) })]);
      assert.equal(table.get(A)?.caller.containerId, 'd'.repeat(64));
      assert.equal(table.size, 2);
      await monitor.delta([B], []);
      assert.equal(table.size, 1);
      await monitor.snapshot([callerAt(B)]);
      assert.equal(table.get(A), undefined);
      assert.deepEqual(
        monitor.messages('ack').map(({ revision }) => revision),
        [1, 2, 3, 4],
      );
    });

    it('and takes nothing of it for a confirmation: it may have been under way for long', async () => {
      const monitor = await connectMonitor().join([callerAt(A)]);
      await monitor.delta([], [callerAt(A), callerAt(B)]);
      assert.equal(table.get(A)?.confirmedAtMillis, -Infinity);
      assert.equal(table.get(B)?.confirmedAtMillis, -Infinity);
      table.confirm(callerAt(A), 5);
      await monitor.snapshot([callerAt(A)]);
      assert.equal(table.get(A)?.confirmedAtMillis, 5);
    });

    it('and ends a session in which a revision is missing, so that the next one begins with a snapshot', async () => {
      const monitor = await connectMonitor().join([callerAt(A)]);
      monitor.send({ type: 'delta', revision: 3, removed: [A], upserted: [] });
      await until(() => monitor.isEnded);
      assert.equal(server.monitorState, 'none');
      assert.notEqual(table.get(A), undefined, 'half of a broken session was applied');
    });

    it('and ends a session that begins with a delta', async () => {
      const monitor = connectMonitor();
      monitor.hello();
      monitor.send({ type: 'delta', revision: 1, removed: [], upserted: [] });
      await until(() => monitor.isEnded);
    });

    it('when the session ends', async () => {
      const monitor = await connectMonitor().join([callerAt(A)]);
      monitor.leave();
      await until(() => server.monitorState === 'none');
      assert.notEqual(table.get(A), undefined);
    });
  });

  describe('asks', () => {
    it('who has an address', async () => {
      await connectMonitor().join([callerAt(A)]);
      assert.deepEqual(await server.confirm(A), { kind: 'caller', caller: callerAt(A) });
      assert.deepEqual(await server.confirm(B), { kind: 'nobody' });
    });

    it('nobody when there is no session', async () => {
      await assert.rejects(server.confirm(A), { code: 'MSI_CONTROL_UNAVAILABLE' });
    });

    it('and is told when the session ends before the answer', async () => {
      const monitor = await connectMonitor().join([]);
      monitor.confirm = () => undefined;
      const asking = assert.rejects(server.confirm(A), { code: 'MSI_CONTROL_UNAVAILABLE' });
      await until(() => monitor.messages('confirm').length === 1);
      monitor.leave();
      await asking;
    });

    it('and forgets a question that is never answered', async () => {
      const monitor = await connectMonitor().join([]);
      monitor.confirm = () => undefined;
      const asking = assert.rejects(server.confirm(A), { message: 'the monitor has not answered' });
      await clock.advance(60_000);
      await asking;
    });

    it('and ends a session that answers for another address', async () => {
      const monitor = await connectMonitor().join([]);
      monitor.confirm = () => ({ kind: 'caller', caller: callerAt(B) });
      await assert.rejects(server.confirm(A), { code: 'MSI_CONTROL_UNAVAILABLE' });
      await until(() => monitor.isEnded);
    });
  });

  describe('lets the newest session win', () => {
    it('and ends the one before', async () => {
      const first = await connectMonitor().join([callerAt(A)]);
      const second = await connectMonitor().join([callerAt(B)]);
      await until(() => first.isEnded);
      assert.equal(server.monitorState, 'live');
      assert.equal(table.get(A), undefined);
      await second.delta([], [callerAt(A)]);
    });

    it('so that the one before cannot change the table any more', async () => {
      const first = await connectMonitor().join([callerAt(A)]);
      const second = connectMonitor();
      second.hello();
      await until(() => second.messages('welcome').length === 1);
      first.send({ type: 'delta', revision: 2, removed: [A], upserted: [] });
      await second.snapshot([callerAt(A)]);
      await until(() => first.isEnded);
      assert.notEqual(table.get(A), undefined);
      assert.equal(server.monitorState, 'live');
    });
  });

  describe('listens for silence', () => {
    it('and sends heartbeats', async () => {
      const monitor = await connectMonitor().join([]);
      await clock.advance(2 * HEARTBEAT_INTERVAL_MILLIS);
      await until(() => monitor.messages('heartbeat').length >= 2);
      assert.equal(monitor.messages('heartbeat')[0]?.sessionId, 'session');
    });

    it('in vain as long as the monitor is heard', async () => {
      const monitor = await connectMonitor().join([callerAt(A)]);
      for (let second = 1; second <= 10; second += 1) {
        await monitor.delta([], [callerAt(A)]);
        await clock.advance(HEARTBEAT_INTERVAL_MILLIS);
      }
      assert.deepEqual(states, ['live']);
    });

    it('which it tells from an ended session', async () => {
      const monitor = await connectMonitor().join([callerAt(A)]);
      await clock.advance(SILENCE_MILLIS + HEARTBEAT_INTERVAL_MILLIS);
      assert.equal(server.monitorState, 'silent');
      monitor.send({ type: 'heartbeat', sessionId: 'session' });
      await until(() => server.monitorState === 'live');
      assert.deepEqual(states, ['live', 'silent', 'live']);
    });

    describe('and asks past the engine then', () => {
      const key = newWitnessKey();
      let witness: Server;
      let asked: string[];
      let answer: (question: WitnessQuestion) => Record<string, unknown> | undefined;
      let monitor: FakeMonitor;

      beforeEach(async () => {
        asked = [];
        answer = question => question.answer(callerAt(question.address));
        witness = createServer((request, response) => {
          const question = WitnessQuestion.read(key, request.url!, request.headers[WITNESS_HEADER]);
          asked.push(question?.address ?? 'no question');
          const body = question === undefined ? undefined : answer(question);
          response.writeHead(body === undefined ? 404 : 200).end(JSON.stringify(body ?? {}));
        });
        await new Promise<void>(resolve => witness.listen(0, '127.0.0.1', resolve));
        monitor = await connectMonitor().join([callerAt(A)]);
        const { port } = witness.address() as AddressInfo;
        monitor.send({ type: 'witness', address: '127.0.0.1', port, key });
        await monitor.delta([], []);
      });
      afterEach(() => witness.close());

      async function untilSilent(): Promise<void> {
        await clock.advance(SILENCE_MILLIS + HEARTBEAT_INTERVAL_MILLIS);
        assert.equal(server.monitorState, 'silent');
      }

      it('whether a caller that is known still has its address', async () => {
        await untilSilent();
        assert.deepEqual(await server.confirm(A), { kind: 'caller', caller: callerAt(A) });
        assert.deepEqual(asked, [A]);
        assert.deepEqual(monitor.messages('confirm'), []);
      });

      it('also when the engine has taken the session along, until the next one', async () => {
        monitor.leave();
        await until(() => server.monitorState === 'none');
        assert.equal(server.canAskWitness, true);
        assert.deepEqual(await server.confirm(A), { kind: 'caller', caller: callerAt(A) });
        assert.deepEqual(asked, [A]);
        await connectMonitor().join([]);
        assert.equal(server.canAskWitness, false);
      });

      it('and does not ask before', async () => {
        assert.equal((await server.confirm(A)).kind, 'caller');
        assert.deepEqual(asked, []);
      });

      const refusals: [what: string, answer: typeof answer][] = [
        ['that nothing is certain', () => undefined],
        [
          'of another container',
          question => question.answer({ ...callerAt(A), containerId: 'd'.repeat(64) }),
        ],
        [
          'of another run of it',
          question => question.answer({ ...callerAt(A), startedAt: '2027-01-01T00:00:00Z' }),
        ],
        [
          'of whoever does not have the key',
          () => WitnessQuestion.ask(newWitnessKey(), A).answer(callerAt(A)),
        ],
        ['that is too long', question => ({ ...question.answer(callerAt(A)), more: 'x'.repeat(5_000) })],
      ];
      for (const [what, given] of refusals) {
        it(`and takes no answer ${what}`, async () => {
          answer = given;
          await untilSilent();
          assert.deepEqual(await server.confirm(A), { kind: 'engine-unresponsive' });
          assert.deepEqual(asked, [A]);
        });
      }

      it('and nothing is known when nobody listens there', async () => {
        await new Promise(resolve => witness.close(resolve));
        await untilSilent();
        assert.deepEqual(await server.confirm(A), { kind: 'engine-unresponsive' });
      });

      it('and nothing is known of whom the monitor never named', async () => {
        await untilSilent();
        assert.deepEqual(await server.confirm(B), { kind: 'engine-unresponsive' });
      });
    });

    it('and knows nobody for certain when it cannot ask another way', async () => {
      await connectMonitor().join([callerAt(A)]);
      await clock.advance(SILENCE_MILLIS + HEARTBEAT_INTERVAL_MILLIS);
      assert.deepEqual(await server.confirm(A), { kind: 'engine-unresponsive' });
    });

    it('but does not take a pause of its own process for one', async () => {
      await connectMonitor().join([callerAt(A)]);
      clock.stall(30_000);
      await clock.advance(HEARTBEAT_INTERVAL_MILLIS);
      assert.equal(server.monitorState, 'live');
      assert.deepEqual(states, ['live']);
    });

    it('and gives the session up after long', async () => {
      const monitor = await connectMonitor().join([]);
      await clock.advance(HEARTBEAT_TIMEOUT_MILLIS + HEARTBEAT_INTERVAL_MILLIS);
      assert.equal(server.monitorState, 'none');
      await until(() => monitor.isEnded);
    });

    it('also of one who never says hello', async () => {
      const monitor = connectMonitor();
      monitor.sendText(' ');
      await until(() => clock.pendingTimers === 2);
      await clock.advance(HEARTBEAT_TIMEOUT_MILLIS + 2 * HEARTBEAT_INTERVAL_MILLIS);
      await until(() => monitor.isEnded);
    });
  });

  describe('reports', () => {
    it('what is new, every two seconds', async () => {
      const monitor = await connectMonitor().join([]);
      await clock.advance(2_000);
      await until(() => monitor.messages('report').length === 1);
      await clock.advance(10_000);
      report = { ...report, callers: [{ containerId: 'c', requests: 1, refusals: 0 }] };
      await clock.advance(2_000);
      await until(() => monitor.messages('report').length === 2);
      assert.deepEqual(monitor.messages('report')[1], report);
    });

    it('everything to a new session', async () => {
      const first = await connectMonitor().join([]);
      await clock.advance(2_000);
      await until(() => first.messages('report').length === 1);
      const second = await connectMonitor().join([]);
      await clock.advance(2_000);
      await until(() => second.messages('report').length === 1);
    });

    it('that it stops, before the session ends', async () => {
      const monitor = await connectMonitor().join([]);
      report = { ...report, draining: true };
      await server.stop();
      await until(() => monitor.isEnded);
      assert.equal(monitor.messages('report').at(-1)?.draining, true);
    });
  });

  it('remembers the role that the current monitor gives', async () => {
    const monitor = await connectMonitor().join([]);
    assert.equal(server.role, undefined);
    monitor.send({ type: 'role', role: 'standby' });
    await until(() => server.role === 'standby');
    monitor.send({ type: 'role', role: 'serving' });
    await until(() => server.role === 'serving');
  });

  it('says when this proxy begins to serve, once', async () => {
    const monitor = await connectMonitor().join([]);
    for (const role of ['standby', 'serving', 'serving'] as const) monitor.send({ type: 'role', role });
    monitor.send({ type: 'list-tokens' });
    await until(() => monitor.messages('tokens').length === 1);
    assert.equal(begunServing, 1);
  });

  it('begins each session with a report, so that no clients are sent to a proxy that stops', async () => {
    report = { ...report, draining: true };
    const monitor = connectMonitor();
    monitor.hello();
    await until(() => monitor.messages('report').length === 1);
    assert.equal(monitor.messages('report')[0]?.draining, true);
  });

  it('tells when the control command has moved the route', async () => {
    const monitor = await connectMonitor().join([]);
    monitor.send({ type: 'set-route', requestId: 1, address: A, gateway: B });
    await until(() => routesMoved === 1);
  });

  it('tells one that stands by what the other one keeps, if the monitor says it', async () => {
    const tokens = [{ target: '/metadata/identity/oauth2/token?resource=x', sinceMillis: 1 }];
    const monitor = await connectMonitor().join([]);
    monitor.send({ type: 'role', role: 'standby' });
    monitor.send({ type: 'role', role: 'standby', tokens: 'x' as unknown as GivenToken[] });
    monitor.send({ type: 'role', role: 'standby', tokens });
    monitor.send({ type: 'role', role: 'serving', tokens });
    await until(() => server.role === 'serving');
    assert.deepEqual(followed, [tokens]);
  });

  describe('shows and empties the token cache', () => {
    const identity: IdentityRef = { kind: 'system' };

    it('also for those who are no monitor, whose session goes on meanwhile', async () => {
      const monitor = await connectMonitor().join([]);
      const other = connectMonitor();
      other.send({ type: 'list-tokens' });
      await until(() => other.messages('tokens').length === 1);
      assert.deepEqual(other.messages('tokens')[0]?.tokens, [TOKEN]);
      other.send({ type: 'flush-tokens', identity });
      await until(() => other.messages('tokens-flushed').length === 1);
      assert.deepEqual(flushed, [identity]);
      assert.equal(other.messages('tokens-flushed')[0]?.count, 1);
      assert.ok(!monitor.isEnded);
      assert.equal(server.monitorState, 'live');
    });

    it('as text for people', async () => {
      const stdout = new PassThrough();
      await listTokens({ socketPath, clock, stdout }, 'table');
      assert.equal(
        await writtenTo(stdout),
        'IDENTITY  RESOURCE                 AGE  EXPIRES               HITS\n' +
          'system    https://vault.azure.net  1 s  2026-01-02T00:00:00Z  2\n',
      );
    });

    it('and says of how many there was no room to tell', async () => {
      moreTokens = 7;
      const stdout = new PassThrough();
      await listTokens({ socketPath, clock, stdout }, 'table');
      assert.match(await writtenTo(stdout), /2026-01-02T00:00:00Z {2}2\n… and 7 more, used longer ago\.\n$/);
    });

    it('as JSON for programs', async () => {
      const stdout = new PassThrough();
      await listTokens({ socketPath, clock, stdout }, 'json');
      assert.deepEqual(JSON.parse(await writtenTo(stdout)), [TOKEN]);
    });

    it('by identity, and says how many are gone', async () => {
      const outputs = [new PassThrough(), new PassThrough()] as const;
      await flushTokens({ socketPath, clock, stdout: outputs[0] }, identity);
      await flushTokens({ socketPath, clock, stdout: outputs[1] }, undefined);
      assert.deepEqual(flushed, [identity, undefined]);
      assert.equal(await writtenTo(outputs[0]), '1 token was dropped\n');
      assert.equal(await writtenTo(outputs[1]), '2 tokens were dropped\n');
    });

    it('and says where there is no proxy to ask', async () => {
      const nowhere = { socketPath: join(folder, 'none.sock'), clock, stdout: new PassThrough() };
      await assert.rejects(listTokens(nowhere, 'json'), { code: 'MSI_CONTROL_UNAVAILABLE' });
    });
  });

  describe('that serves and is about to stop', () => {
    const PATIENCE = { withMonitorMillis: 2_000, withoutMonitorMillis: 6_000 };
    let monitor: FakeMonitor;
    let relieved: boolean;

    async function askForRelief(): Promise<void> {
      monitor = await connectMonitor().join([]);
      monitor.send({ type: 'role', role: 'serving' });
      await until(() => server.role === 'serving');
      relieved = false;
      void server.relieved(PATIENCE).then(() => (relieved = true));
      await clock.advance(100);
      assert.equal(relieved, false);
    }

    it('waits until clients are sent elsewhere, and for what has just arrived', async () => {
      await askForRelief();
      monitor.send({ type: 'role', role: 'standby' });
      await until(() => server.role === 'standby');
      await clock.advance(49);
      assert.equal(relieved, false);
      await clock.advance(1);
      assert.ok(relieved);
    });

    it('waits for the next monitor when this one leaves, as when both are updated at a time', async () => {
      await askForRelief();
      monitor.leave();
      await until(() => server.monitorState === 'none');
      await clock.advance(3_000);
      assert.equal(relieved, false);

      const next = await connectMonitor().join([]);
      await clock.advance(1_900);
      assert.equal(relieved, false);
      next.send({ type: 'role', role: 'standby' });
      await until(() => server.role === 'standby');
      await clock.advance(50);
      assert.ok(relieved);
    });

    it('does not wait for ever for the next monitor', async () => {
      await askForRelief();
      monitor.leave();
      await until(() => server.monitorState === 'none');
      await clock.advance(PATIENCE.withoutMonitorMillis);
      assert.ok(relieved);
    });

    it('does not wait for ever', async () => {
      await askForRelief();
      await clock.advance(1_950);
      assert.ok(relieved);
    });

    it('does not wait where no clients are sent to it', async () => {
      await server.relieved(PATIENCE);
      await connectMonitor().join([]);
      await server.relieved(PATIENCE);
    });
  });

  it('stops at once, also with connections that never said hello', async () => {
    const monitor = connectMonitor();
    monitor.sendText(' ');
    await until(() => clock.pendingTimers === 2);
    await server.stop();
    await until(() => monitor.isEnded);
  });
});
