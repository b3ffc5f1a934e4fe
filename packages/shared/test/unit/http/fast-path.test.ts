import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { FastPath, FastReply } from '../../../src/http/fast-path.ts';
import { HttpServer } from '../../../src/http/http-server.ts';
import { MAX_REQUESTS_PER_SOCKET } from '../../../src/http/keep-alive.ts';
import { silentLogger } from '../../../src/logging/logger.ts';
import { FakeClock, open, readAll, until } from '../../../src/testing/index.ts';

const REQUEST = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';
const OTHER = 'GET /b HTTP/1.1\r\nHost: a\r\n\r\n';
const FAST = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfast';

describe('an HTTP server with a fast path', () => {
  let clock: FakeClock;
  let server: HttpServer;
  let learned: string[];
  let known: Set<string>;
  let usual: string[];
  let clients: Socket[];
  let lastOnes: number;
  let waiting: FastReply[];
  let slow: Set<string>;

  beforeEach(async () => {
    clock = new FakeClock();
    learned = [];
    known = new Set();
    usual = [];
    clients = [];
    lastOnes = 0;
    waiting = [];
    slow = new Set();
    const fastPath: FastPath = {
      connect: () => (text, close, later) => {
        if (slow.has(text)) {
          const reply = later();
          waiting.push(reply);
          return reply;
        }
        if (!known.has(text)) return undefined;
        if (close) lastOnes += 1;
        return FAST;
      },
      learn: text => learned.push(text),
    };
    server = new HttpServer({
      listen: { host: '127.0.0.1', port: 0 },
      maxConnections: 100,
      clock,
      logger: silentLogger,
      handle: (request, response) => {
        usual.push(request.url ?? '');
        response.end('usual');
      },
      fastPath,
    });
    await server.start();
  });

  afterEach(async () => {
    for (const client of clients) client.destroy();
    await server.drain(0);
    assert.equal(clock.pendingTimers, 0);
  });

  function connectClient(from?: string) {
    const client = open({ port: server.port, ...(from !== undefined && { from }) });
    clients.push(client);
    const received = { text: '' };
    client.on('data', (chunk: Buffer) => (received.text += chunk.toString('latin1')));
    return { client, received };
  }

  it('learns a request that came alone and whole, and answers it the usual way', async () => {
    const { client, received } = connectClient();
    client.write(REQUEST);
    await until(() => received.text.endsWith('usual'));
    assert.deepEqual(learned, [REQUEST]);
  });

  it('answers what it knows without the parser', async () => {
    known.add(REQUEST);
    const { client, received } = connectClient();
    client.write(REQUEST);
    await until(() => received.text === FAST);
    client.write(REQUEST);
    await until(() => received.text === FAST + FAST);
    assert.deepEqual(usual, []);
  });

  describe('when several callers ask at a time', () => {
    const CROWD = 30;

    /** Of 127.0.0.2 one, of 127.0.0.1 many; each writes at the same moment. */
    async function crowd(): Promise<ReturnType<typeof connectClient>[]> {
      const connections = [
        connectClient('127.0.0.2'),
        ...Array.from({ length: CROWD }, () => connectClient('127.0.0.1')),
      ];
      await Promise.all(connections.map(({ client }) => once(client, 'connect')));
      return connections;
    }

    it('answers all of them', async () => {
      known.add(REQUEST);
      const connections = await crowd();
      for (let round = 1; round <= 3; round += 1) {
        for (const { client } of connections) client.write(REQUEST);
        await until(() => connections.every(({ received }) => received.text === FAST.repeat(round)));
      }
      assert.deepEqual(usual, []);
    });

    it('answers also who asks for more, or for what it does not know, before it has its turn', async () => {
      known.add(REQUEST);
      const connections = await crowd();
      for (const { client } of connections) client.write(REQUEST);
      for (const { client } of connections) client.write(OTHER);
      await until(() => connections.every(({ received }) => received.text.endsWith('usual')));
      assert.equal(usual.filter(path => path === '/b').length, connections.length);
    });

    it('answers also who has sent all that it will', async () => {
      known.add(REQUEST);
      const connections = await crowd();
      for (const { client } of connections) client.end(REQUEST);
      await until(() => connections.every(({ received, client }) => received.text === FAST && client.closed));
    });

    it('forgets who leaves before it has its turn', async () => {
      known.add(REQUEST);
      const connections = await crowd();
      for (const { client } of connections) {
        client.write(REQUEST);
        client.destroy();
      }
      const { client, received } = connectClient();
      client.write(REQUEST);
      await until(() => received.text === FAST);
    });
  });

  it('gives a connection to the parser with the first bytes that it does not know, for good', async () => {
    known.add(REQUEST);
    const { client, received } = connectClient();
    client.write(REQUEST);
    await until(() => received.text === FAST);
    client.write(OTHER);
    await until(() => received.text.endsWith('usual'));
    client.write(REQUEST);
    await until(() => usual.length === 2);
    assert.deepEqual(usual, ['/b', '/a']);
  });

  it('does not learn what is more than one request, or a part of one', async () => {
    const pieces: [first: string, second: string][] = [
      [REQUEST + OTHER, ''],
      [`${REQUEST}GET /b`, ' HTTP/1.1\r\nHost: a\r\n\r\n'],
      [`${REQUEST}\r\n`, ''],
      ['POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n', '\r\n\r\n'],
      ['GET /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n', 'abcd'],
      [`GET /${'b'.repeat(2_100)} HTTP/1.1\r\nHost: a\r\n\r\n`, ''],
    ];
    for (const [first, second] of pieces) {
      const before = usual.length;
      const { client } = connectClient();
      client.setNoDelay(true);
      client.write(first);
      await new Promise(resolve => setImmediate(resolve));
      client.write(second);
      await until(() => usual.length > before);
    }
    assert.deepEqual(learned, []);
  });

  it('answers known requests that come in one piece as the parser finds them', async () => {
    known.add(REQUEST);
    const { client, received } = connectClient();
    client.write(REQUEST + REQUEST);
    await until(() => usual.length === 2);
    await until(() => received.text.endsWith('usual'));
  });

  it('ends a connection after as many requests as any other', async () => {
    known.add(REQUEST);
    const { client, received } = connectClient();
    for (let count = 1; count <= MAX_REQUESTS_PER_SOCKET; count += 1) {
      client.write(REQUEST);
      await until(() => received.text.length === count * FAST.length);
    }
    await until(() => client.destroyed);
    assert.equal(lastOnes, 1);
  });

  it('ends with a client that sends no more', async () => {
    known.add(REQUEST);
    const client = open({ port: server.port });
    client.end(REQUEST);
    assert.equal((await readAll(client)).text, FAST);
  });

  it('ends connections that wait for their next request when it drains', async () => {
    known.add(REQUEST);
    const { client, received } = connectClient();
    client.write(REQUEST);
    await until(() => received.text === FAST);
    await server.drain(60_000);
    await until(() => client.destroyed);
  });

  describe('whose answer comes later', () => {
    beforeEach(() => {
      slow.add(REQUEST);
    });

    async function asked(count = 1) {
      const connected = connectClient();
      connected.client.write(REQUEST);
      await until(() => waiting.length === count);
      return connected;
    }

    it('sends it, and goes on', async () => {
      const { client, received } = await asked();
      waiting[0]!.send(FAST, false);
      await until(() => received.text === FAST);
      client.write(REQUEST);
      await until(() => waiting.length === 2);
      waiting[1]!.send(FAST, false);
      await until(() => received.text === FAST + FAST);
      assert.deepEqual(usual, []);
    });

    it('lets no answer follow the first one', async () => {
      const { client, received } = await asked();
      waiting[0]!.send(FAST, false);
      waiting[0]!.send('a second one', false);
      known.add(OTHER);
      client.write(OTHER);
      await until(() => received.text === FAST + FAST);
    });

    it('looks at the next request only then, and not at more than that', async () => {
      const { client, received } = await asked();
      known.add(OTHER);
      client.write(OTHER);
      // Comes after it, over another connection.
      await asked(2);
      assert.equal(received.text, '');
      waiting[0]!.send(FAST, false);
      await until(() => received.text === FAST + FAST);
    });

    it('gives what came meanwhile to the parser if it is not known', async () => {
      const { client, received } = await asked();
      client.write(OTHER);
      await asked(2);
      waiting[0]!.send(FAST, false);
      await until(() => received.text.endsWith('usual'));
      assert.ok(received.text.startsWith(FAST));
      client.write(OTHER);
      await until(() => usual.length === 2);
    });

    it('ends the connection with an answer that is the last', async () => {
      const { client, received } = await asked();
      waiting[0]!.send(FAST, true);
      await until(() => client.destroyed);
      assert.equal(received.text, FAST);
    });

    it('notices a client that leaves', async () => {
      const { client } = await asked();
      let left = 0;
      waiting[0]!.onLeave(() => (left += 1));
      client.destroy();
      await until(() => left === 1);
      assert.ok(waiting[0]!.hasLeft);
      waiting[0]!.send(FAST, false);
    });

    it('drains after it', async () => {
      const { client, received } = await asked();
      const drained = server.drain(60_000);
      await new Promise(resolve => setImmediate(resolve));
      assert.ok(!client.destroyed);
      waiting[0]!.send(FAST, true);
      await drained;
      await until(() => client.destroyed);
      assert.equal(received.text, FAST);
    });

    it('waits no longer than it may when it drains', async () => {
      const { client } = await asked();
      const drained = server.drain(500);
      await clock.advance(500);
      await drained;
      await until(() => client.destroyed);
      assert.ok(waiting[0]!.hasLeft);
    });
  });
});
