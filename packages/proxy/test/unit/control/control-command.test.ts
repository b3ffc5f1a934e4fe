import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { encodeMessage, HEARTBEAT_TIMEOUT_MILLIS, type MonitorMessage } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { runControl } from '../../../src/control/control-command.ts';
import { until } from '../support/until.ts';

const HELLO: MonitorMessage = { type: 'hello', protocol: 1, sessionId: 'session', monitorVersion: '0' };
const SET_ROUTE: MonitorMessage = {
  type: 'set-route',
  requestId: 7,
  address: '172.31.250.2',
  gateway: '172.31.250.1',
};

describe('the control command', () => {
  let folder: string;
  let socketPath: string;
  let listener: Server;
  let server: Socket | undefined;
  let clock: FakeClock;
  let stdin: PassThrough;
  let stdout: PassThrough;
  let stderr: PassThrough;
  let routes: unknown[];
  let setRoute: () => Promise<unknown>;
  let fromServer: string;
  let fromCommand: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'msi-proxy-'));
    socketPath = join(folder, 'control.sock');
    server = undefined;
    fromCommand = '';
    listener = createServer(socket => {
      server = socket;
      socket.on('error', () => undefined);
      socket.on('data', chunk => (fromCommand += chunk.toString()));
    });
    await new Promise<void>(resolve => {
      listener.listen(socketPath, resolve);
    });
    clock = new FakeClock();
    stdin = new PassThrough();
    stdout = new PassThrough();
    stderr = new PassThrough();
    fromServer = '';
    stdout.on('data', (chunk: Buffer) => (fromServer += chunk.toString()));
    routes = [];
    setRoute = () => Promise.resolve();
  });

  afterEach(async () => {
    server?.destroy();
    await new Promise(resolve => listener.close(resolve));
    await rm(folder, { recursive: true });
    assert.equal(clock.pendingTimers, 0, 'a timer was leaked');
  });

  function run(path = socketPath): Promise<number> {
    return runControl({
      socketPath: path,
      stdin,
      stdout,
      stderr,
      clock,
      setRoute: async wanted => {
        routes.push(wanted);
        await setRoute();
      },
    });
  }

  function messages(): Record<string, unknown>[] {
    return fromServer
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Record<string, unknown>);
  }

  async function connected(): Promise<Socket> {
    await until(() => server !== undefined);
    return server!;
  }

  it('joins the monitor to the server, both ways, wherever the bytes are cut', async () => {
    const running = run();
    const text = encodeMessage(HELLO);
    stdin.write(text.slice(0, 10));
    stdin.write(text.slice(10));
    await until(() => fromCommand === text);
    const answer = encodeMessage({ type: 'ack', revision: 1 });
    const socket = await connected();
    socket.write(answer.slice(0, 5));
    await until(() => socket.bytesWritten === 5);
    socket.write(answer.slice(5));
    await until(() => fromServer === answer);
    stdin.end();
    assert.equal(await running, 0);
  });

  it('waits for a server that is about to listen, since another docker exec would take longer', async () => {
    await new Promise(resolve => listener.close(resolve));
    const running = run();
    stdin.write(encodeMessage(HELLO));
    await until(() => clock.pendingTimers === 1);
    await new Promise<void>(resolve => {
      listener.listen(socketPath, resolve);
    });
    await clock.advance(20);
    await until(() => fromCommand === encodeMessage(HELLO));
    stdin.end();
    assert.equal(await running, 0);
  });

  it('goes on when either end says what only later versions know', async () => {
    const running = run();
    stdin.write(`{"type":"surprise"}\n${encodeMessage(HELLO)}`);
    await until(() => fromCommand === encodeMessage(HELLO));
    (await connected()).write(`{"type":"surprise"}\n${encodeMessage({ type: 'ack', revision: 1 })}`);
    await until(() => fromServer === encodeMessage({ type: 'ack', revision: 1 }));
    stdin.end();
    assert.equal(await running, 0);
  });

  describe('moves the route itself', () => {
    it('and says so itself', async () => {
      const running = run();
      stdin.write(encodeMessage(SET_ROUTE));
      stdin.write(encodeMessage(HELLO));
      await until(() => fromCommand !== '' && fromServer !== '');
      assert.deepEqual(routes, [{ address: '172.31.250.2', gateway: '172.31.250.1' }]);
      const [answer] = messages();
      assert.equal(answer?.['type'], 'route-set');
      assert.equal(answer['requestId'], 7);
      assert.equal(answer['ok'], true);
      stdin.end();
      await running;
    });

    it('one after the other, so that the last one wanted is the one that holds', async () => {
      const first = Promise.withResolvers<undefined>();
      setRoute = () => first.promise;
      const running = run();
      stdin.write(
        encodeMessage(SET_ROUTE) + encodeMessage({ ...SET_ROUTE, requestId: 8 }) + encodeMessage(HELLO),
      );
      await until(() => fromCommand !== '' && routes.length > 0);
      assert.equal(routes.length, 1);
      first.resolve(undefined);
      await until(() => messages().length === 2);
      assert.deepEqual(
        messages().map(({ requestId }) => requestId),
        [7, 8],
      );
      stdin.end();
      await running;
    });

    it('and tells the server when it has, whose connections go by the way of before', async () => {
      const moving = Promise.withResolvers<undefined>();
      setRoute = () => moving.promise;
      const running = run();
      stdin.write(encodeMessage(HELLO) + encodeMessage(SET_ROUTE));
      await until(() => fromCommand === encodeMessage(HELLO) && routes.length > 0);
      moving.resolve(undefined);
      await until(() => fromCommand === encodeMessage(HELLO) + encodeMessage(SET_ROUTE));
      stdin.end();
      await running;
    });

    it('or says why not', async () => {
      setRoute = () => Promise.reject(new Error('no such network'));
      const running = run();
      stdin.write(encodeMessage(SET_ROUTE));
      await until(() => fromServer !== '');
      assert.equal(fromCommand, '', 'nothing has changed for the server');
      assert.deepEqual(messages(), [
        { type: 'route-set', requestId: 7, ok: false, message: 'no such network' },
      ]);
      stdin.end();
      await running;
    });

    it('and does not say so in the middle of what the server says', async () => {
      const running = run();
      const report = encodeMessage({ type: 'ack', revision: 1 });
      const socket = await connected();
      socket.write(report.slice(0, 8));
      await until(() => socket.bytesWritten === 8);
      stdin.write(encodeMessage(SET_ROUTE));
      await until(() => fromServer !== '');
      socket.write(report.slice(8));
      await until(() => messages().length === 2);
      assert.deepEqual(
        messages().map(({ type }) => type),
        ['route-set', 'ack'],
      );
      stdin.end();
      await running;
    });
  });

  describe('ends', () => {
    it('when the monitor closes its end, and so ends the session at the server', async () => {
      const running = run();
      const socket = await connected();
      stdin.end();
      assert.equal(await running, 0);
      await until(() => socket.readableEnded || socket.destroyed);
    });

    it('when the server ends the session', async () => {
      const running = run();
      (await connected()).destroy();
      assert.equal(await running, 0);
    });

    it('when the monitor has not been heard for long, as after an engine restart with live-restore', async () => {
      const running = run();
      stdin.write(encodeMessage(HELLO));
      await until(() => fromCommand !== '');
      await clock.advance(HEARTBEAT_TIMEOUT_MILLIS / 2);
      stdin.write(encodeMessage({ type: 'heartbeat', sessionId: 'session' }));
      await until(() => fromCommand.includes('heartbeat'));
      await clock.advance(HEARTBEAT_TIMEOUT_MILLIS);
      assert.equal(stderr.read(), null);
      await clock.advance(HEARTBEAT_TIMEOUT_MILLIS / 10);
      assert.equal(await running, 1);
    });

    it('when the server does not come, and says so', async () => {
      const running = run(join(folder, 'absent.sock'));
      await until(() => clock.pendingTimers === 1);
      clock.pass(5_000);
      await clock.advance(20);
      assert.equal(await running, 1);
      assert.match(String(stderr.read()), /^MSI_CONTROL_UNAVAILABLE: .*absent\.sock/);
    });

    it('when the monitor does not speak the protocol', async () => {
      const running = run();
      stdin.write('hello\n');
      assert.equal(await running, 1);
      assert.match(String(stderr.read()), /^MSI_CONTROL_PROTOCOL: /);
    });
  });
});
