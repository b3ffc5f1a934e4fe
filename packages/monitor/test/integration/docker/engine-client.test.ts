import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { silentLogger } from '@msi-proxy/shared';
import { createEngineClient, type EngineClient, type EngineEvent } from '../../../src/docker/index.ts';
import { FakeEngine } from '../../support/fake-engine/index.ts';
import { until } from '../../support/until.ts';

const QUICK = { callMillis: 200, execMillis: 1_000 };

function clientOf(dockerHost: string, timeouts = { callMillis: 2_000, execMillis: 2_000 }): EngineClient {
  return createEngineClient({ dockerHost, logger: silentLogger, timeouts });
}

/** Collects events until the stream ends. */
function collect(events: AsyncIterable<EngineEvent>): { seen: EngineEvent[]; ended: Promise<void> } {
  const seen: EngineEvent[] = [];
  const ended = (async () => {
    for await (const event of events) seen.push(event);
  })();
  return { seen, ended };
}

const actions = (seen: readonly EngineEvent[]) => seen.map(({ type, action }) => `${type} ${action}`);

describe('the engine client', () => {
  it('speaks the newest API version that both know', async () => {
    await using engine = await FakeEngine.start({ version: '29.0.0', apiVersion: '1.60' });
    const client = clientOf(engine.host);
    assert.deepEqual(await client.version(), { version: '29.0.0', apiVersion: '1.52' });
    engine.apiVersion = '1.41';
    // An older engine than the one that was asked first: what is spoken must be asked anew.
    await assert.rejects(client.listContainers(), { code: 'MSI_ENGINE_REQUEST' });
    assert.equal((await client.version()).apiVersion, '1.41');
    assert.deepEqual(await client.listContainers(), []);
  });

  it('refuses an engine that is too old, and names its versions', async () => {
    await using engine = await FakeEngine.start({ version: '1.12.6', apiVersion: '1.24' });
    await assert.rejects(clientOf(engine.host).listContainers(), {
      code: 'MSI_ENGINE_TOO_OLD',
      message: /1\.12\.6.*1\.24.*1\.41/,
    });
  });

  it('names DOCKER_HOST and the path when there is no socket', async () => {
    await using engine = await FakeEngine.prepare();
    await assert.rejects(clientOf(engine.host).ping(), {
      code: 'MSI_ENGINE_UNREACHABLE',
      message: new RegExp(`DOCKER_HOST.*${engine.socketPath}`),
    });
  });

  it('says that the socket may not be used', async () => {
    await using engine = await FakeEngine.start();
    await chmod(engine.socketPath, 0o000);
    // Root may use every socket, so it is not root that tries.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      await assert.rejects(clientOf(engine.host).ping(), {
        code: 'MSI_ENGINE_FORBIDDEN',
        message: /DOCKER_HOST/,
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it('says that an engine does not answer, and leaves no connection behind', async () => {
    await using engine = await FakeEngine.start();
    const client = clientOf(engine.host, QUICK);
    await client.version();
    engine.hang();
    await assert.rejects(client.listContainers(), { code: 'MSI_ENGINE_UNRESPONSIVE' });
    await assert.rejects(client.ping(100), { code: 'MSI_ENGINE_UNRESPONSIVE', message: /100 ms/ });
    await until('connections are closed', () => engine.openConnections === 0);
    engine.resume();
    await client.ping();
  });

  it('passes on what the engine says against a request', async () => {
    await using engine = await FakeEngine.start();
    engine.failRequests(/^\/containers\/json$/, { status: 500, message: 'disk is full' });
    const client = clientOf(engine.host);
    await assert.rejects(client.listContainers(), {
      code: 'MSI_ENGINE_REQUEST',
      message: /500.*disk is full/,
    });
    assert.deepEqual(await client.listContainers(), []);
  });

  it('tells an answer that is no answer from an engine', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'no-engine-'));
    const path = join(directory, 'docker.sock');
    const server = createServer(connection => connection.end('SSH-2.0-OpenSSH\r\n')).listen(path);
    await once(server, 'listening');
    try {
      await assert.rejects(clientOf(`unix://${path}`).version(), { code: 'MSI_ENGINE_UNREACHABLE' });
    } finally {
      server.close();
      await rm(directory, { recursive: true });
    }
  });

  for (const apiVersion of ['1.41', '1.52']) {
    describe(`with API ${apiVersion}`, () => {
      it('reads containers with all of their addresses', async () => {
        await using engine = await FakeEngine.start({ apiVersion });
        engine.state.createNetwork({ name: 'own', prefix: '10.1.0', internal: true });
        const labels = { MSIClientContainer: '', 'a label': 'with "quotes" \n' };
        const id = engine.run({ name: 'web', labels, image: 'web:1' });
        engine.state.connect('own', 'web');
        engine.state.createContainer({ name: 'stopped' });
        const client = clientOf(engine.host);

        assert.deepEqual(
          (await client.listContainers()).map(container => container.id),
          [id],
        );
        const details = await client.inspectContainer(id);
        const { startedAt, pid } = engine.state.container(id);
        assert.ok(details !== undefined);
        assert.deepEqual({ ...details.labels }, labels);
        assert.deepEqual(
          details.networks.map(({ name, address }) => [name, address]),
          [
            ['bridge', '172.17.0.2'],
            ['own', '10.1.0.2'],
          ],
        );
        assert.equal(details.name, 'web');
        assert.equal(details.image, 'web:1');
        assert.equal(details.state, 'running');
        assert.equal(details.startedAt, startedAt);
        assert.equal(details.pid, pid);
        engine.state.setPaused('web', true);
        assert.equal((await client.inspectContainer('web'))?.state, 'paused');
        assert.equal(await client.inspectContainer('nobody'), undefined);
      });

      it('follows events, cut anywhere, and replays those of before', async () => {
        await using engine = await FakeEngine.start({ apiVersion });
        engine.splitsEvents = true;
        const stopping = new AbortController();
        const sinceSeconds = Date.now() / 1_000 - 1;
        const id = engine.run({ name: 'before', labels: { text: 'ü€😀' } });
        const client = clientOf(engine.host);
        const { seen, ended } = collect(await client.events({ sinceSeconds, signal: stopping.signal }));
        engine.state.rename(id, 'after');
        await until('all events are there', () => seen.some(({ action }) => action === 'rename'));

        const ofContainer = seen.filter(event => event.type === 'container');
        assert.deepEqual(actions(ofContainer), ['container create', 'container start', 'container rename']);
        assert.ok(ofContainer.every(event => event.actorId === id));
        assert.equal(ofContainer[0]?.attributes['text'], 'ü€😀');
        const connect = seen.find(({ action }) => action === 'connect');
        assert.equal(connect?.attributes['container'], id);
        stopping.abort();
        await ended;
      });
    });
  }

  it('ends the events when the stream is cut, when the engine dies, and when told to', async () => {
    await using engine = await FakeEngine.start();
    const client = clientOf(engine.host);
    const signal = new AbortController().signal;
    const cut = collect(await client.events({ signal }));
    engine.cutEventStreams();
    await cut.ended;

    const dead = collect(await client.events({ signal }));
    await engine.die();
    await dead.ended;
    await assert.rejects(client.events({ signal }), { code: 'MSI_ENGINE_UNREACHABLE' });

    await engine.listen();
    const stopping = new AbortController();
    const stopped = collect(await client.events({ signal: stopping.signal }));
    engine.run({ name: 'one' });
    await until('an event arrived', () => stopped.seen.length > 0);
    stopping.abort();
    await stopped.ended;
    await until('connections are closed', () => engine.openConnections === 0);
  });

  it('keeps the events open while nothing happens for longer than a call may take', async () => {
    await using engine = await FakeEngine.start();
    const client = clientOf(engine.host, QUICK);
    const stopping = new AbortController();
    const { seen, ended } = collect(await client.events({ signal: stopping.signal }));
    engine.hang();
    await assert.rejects(client.ping(2 * QUICK.callMillis));
    engine.run({ name: 'during' });
    assert.deepEqual(seen, []);
    engine.resume();
    await until('what happened meanwhile arrived', () => seen.some(({ action }) => action === 'start'));
    stopping.abort();
    await ended;
  });

  it('lists all containers on a network, with what they are to have there, whether they run or not', async () => {
    await using engine = await FakeEngine.start();
    engine.state.createNetwork({ name: 'net' });
    const up = engine.run({ name: 'up', network: 'net' });
    const asks = engine.state.createContainer({ name: 'asks', network: 'net', address: '172.30.1.9' });
    engine.run({ name: 'elsewhere' });
    assert.deepEqual(await clientOf(engine.host).listNetworkMembers('net'), [
      { containerId: up, state: 'running', askedAddress: '' },
      { containerId: asks, state: 'created', askedAddress: '172.30.1.9' },
    ]);
  });

  it('makes and joins networks, also when that was done before', async () => {
    await using engine = await FakeEngine.start();
    const client = clientOf(engine.host);
    const options = { 'com.docker.network.bridge.name': 'br0' };
    const network = { name: 'net', driver: 'bridge', labels: {}, options, subnet: '10.9.0.0/24' };
    await client.createNetwork(network);
    await client.createNetwork(network);
    const id = engine.run({ name: 'c' });
    await client.connectNetwork('net', id);
    await client.connectNetwork('net', id);
    const details = await client.inspectNetwork('net');
    assert.equal(details?.gateway, '10.9.0.1');
    assert.equal(details.subnet, '10.9.0.0/24');
    assert.deepEqual({ ...details.options }, options);
    assert.equal(details.containers[id]?.address, '10.9.0.2');
    assert.equal(engine.requests.filter(request => request.startsWith('POST /networks/create')).length, 2);
    await assert.rejects(client.connectNetwork('none such', id), { code: 'MSI_ENGINE_REQUEST' });
    assert.equal(await client.inspectNetwork('none such'), undefined);
    assert.deepEqual(
      (await client.listNetworks()).map(({ name }) => name),
      ['bridge', 'host', 'none', 'net'],
    );
  });

  describe('running commands', () => {
    it('gives both outputs and the exit code', async () => {
      await using engine = await FakeEngine.start({
        onExec: ({ stdin, stdout, stderr, exit }) => {
          void text(stdin).then(input => {
            stdout.write(`got ${input}`);
            stderr.write('warning');
            exit(3);
          });
        },
      });
      const id = engine.run({ name: 'c' });
      const result = await clientOf(engine.host).runExec(id, ['nft', '-f', '-'], {
        stdin: 'rules',
        user: '0',
      });
      assert.deepEqual(result, { exitCode: 3, stdout: 'got rules', stderr: 'warning' });
    });

    it('gives a command no input when there is none, and takes no connection over for it', async () => {
      let input: string | undefined;
      await using engine = await FakeEngine.start({
        onExec: ({ stdin, stdout, exit }) => {
          void text(stdin).then(read => {
            input = read;
            stdout.write('done');
            exit(0);
          });
        },
      });
      const id = engine.run({ name: 'c' });
      const result = await clientOf(engine.host).runExec(id, ['netsh']);
      assert.deepEqual(result, { exitCode: 0, stdout: 'done', stderr: '' });
      assert.equal(input, '');
      assert.deepEqual(engine.upgrades, []);
    });

    it('gives up a command when told to, and leaves no connection behind', async () => {
      await using engine = await FakeEngine.start({ onExec: ({ stdout }) => stdout.write('some') });
      const id = engine.run({ name: 'c' });
      const stopping = new AbortController();
      const running = clientOf(engine.host).runExec(id, ['powershell'], { signal: stopping.signal });
      await until('the command runs', () => engine.requests.some(request => request.endsWith('/start')));
      stopping.abort(new Error('stopping'));
      await assert.rejects(running, /stopping/);
      await until('connections are closed', () => engine.openConnections === 0);
    });

    it('ends with a command whose output is never ended', async () => {
      await using engine = await FakeEngine.start({
        onExec: ({ stdout, abandon }) => {
          stdout.write('all of it');
          abandon(4);
        },
      });
      const id = engine.run({ name: 'c' });
      const client = clientOf(engine.host, { callMillis: 2_000, execMillis: 20_000 });
      const result = await client.runExec(id, ['netsh']);
      assert.deepEqual(result, { exitCode: 4, stdout: 'all of it', stderr: '' });
    });

    it('refuses containers that do not run', async () => {
      await using engine = await FakeEngine.start();
      const id = engine.run({ name: 'c' });
      engine.stopContainer(id);
      const client = clientOf(engine.host);
      await assert.rejects(client.runExec(id, ['true']), {
        code: 'MSI_ENGINE_REQUEST',
        message: /not running/,
      });
      await assert.rejects(client.openExec('nobody', ['true']), { code: 'MSI_ENGINE_REQUEST' });
    });

    it('talks to one that stays, and hears of its end however it comes', async () => {
      await using engine = await FakeEngine.start({
        onExec: ({ stdin, stdout, stderr }) => {
          stderr.write('hello\n');
          stdin.pipe(stdout);
        },
      });
      const id = engine.run({ name: 'c' });
      const client = clientOf(engine.host, QUICK);

      const first = await client.openExec(id, ['cat']);
      const [hello] = (await once(first.stderr, 'data')) as [Buffer];
      assert.equal(hello.toString(), 'hello\n');
      first.stdin.write('echo');
      const [echo] = (await once(first.stdout, 'data')) as [Buffer];
      assert.equal(echo.toString(), 'echo');
      engine.stopContainer(id);
      await first.closed;

      engine.state.start(id);
      const second = await client.openExec(id, ['cat']);
      engine.hang();
      await assert.rejects(client.ping(2 * QUICK.callMillis));
      second.stdin.write('late');
      engine.resume();
      const [late] = (await once(second.stdout, 'data')) as [Buffer];
      assert.equal(late.toString(), 'late');
      second.destroy();
      await second.closed;

      const third = await client.openExec(id, ['cat']);
      await engine.die();
      await third.closed;
    });
  });
});
