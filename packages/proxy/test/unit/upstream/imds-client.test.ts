import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { systemClock, type Clock } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import type { Waiting } from '../../../src/upstream/asked.ts';
import { ImdsClient, type ImdsGetOptions } from '../../../src/upstream/imds-client.ts';
import type { UpstreamAnswer } from '../../../src/upstream/upstream-answer.ts';
import { Upstream } from '../../../src/upstream/upstream.ts';
import { answerText, RawUpstream } from '../support/raw-upstream.ts';
import { until } from '../support/until.ts';

const TARGET = '/metadata/identity/info?api-version=2018-02-01';
const TIMEOUT_MILLIS = 5_000;

/** A client that can leave. */
class Leaver implements Waiting {
  hasLeft = false;
  #listener: (() => void) | undefined;

  onLeave(listener: () => void): () => void {
    this.#listener = listener;
    return () => (this.#listener = undefined);
  }

  leave(): void {
    this.hasLeft = true;
    this.#listener?.();
  }
}

describe('the client of IMDS', () => {
  let imds: RawUpstream;
  let upstream: Upstream;
  let client: ImdsClient;
  let clock: Clock;
  let maxResponseBytes: number;

  beforeEach(async () => {
    imds = new RawUpstream();
    await imds.start();
    clock = systemClock;
    maxResponseBytes = 100_000;
    begin();
  });

  afterEach(async () => {
    upstream.destroy();
    await imds.stop();
  });

  function begin(): void {
    upstream = new Upstream({ host: '127.0.0.1', port: imds.port });
    client = new ImdsClient({ upstream, clock, maxResponseBytes, userAgent: 'test/1' });
  }

  function get(options: Partial<ImdsGetOptions> = {}): Promise<UpstreamAnswer> {
    return client.get(TARGET, { timeoutMillis: TIMEOUT_MILLIS, ...options });
  }

  async function codeOf(asking: Promise<unknown>): Promise<unknown> {
    const [result] = await Promise.allSettled([asking]);
    return result.status === 'rejected' ? (result.reason as { code?: unknown }).code : 'answered';
  }

  it('asks in its own name, unless it is given headers', async () => {
    await get();
    await get({ headers: { host: 'imds', metadata: 'true', 'set-cookie': ['a', 'b'] } });
    const [own, given] = imds.requests.map(({ text }) => text.split('\r\n'));
    assert.deepEqual(own, [
      `GET ${TARGET} HTTP/1.1`,
      `Host: 127.0.0.1:${imds.port}`,
      'Metadata: true',
      'Accept: */*',
      'User-Agent: test/1',
      'Connection: keep-alive',
      '',
      '',
    ]);
    assert.deepEqual(given, [
      `GET ${TARGET} HTTP/1.1`,
      'host: imds',
      'metadata: true',
      'set-cookie: a',
      'set-cookie: b',
      'Connection: keep-alive',
      '',
      '',
    ]);
  });

  it('sends nothing that could be read as two requests', async () => {
    for (const target of ['/a b', '/a\r\nX: 1', 'http://a/', '/\xe4']) {
      await assert.rejects(client.get(target, { timeoutMillis: 1 }), /not canonical/);
    }
    await assert.rejects(get({ headers: { a: '1\r\nB: 2' } }), { code: 'ERR_INVALID_CHAR' });
    await assert.rejects(get({ headers: { 'a\r\n': '1' } }), { code: 'ERR_INVALID_HTTP_TOKEN' });
    assert.equal(imds.requests.length, 0);
  });

  describe('receives', () => {
    it('answers that come together, each for who has asked for it', async () => {
      const waiting: { readonly text: string; readonly socket: Socket }[] = [];
      imds.respond = request => waiting.push(request);
      const numbers = [1, 2, 3, 4];
      const asking = numbers.map(number => client.get(`/${number}`, { timeoutMillis: TIMEOUT_MILLIS }));
      await until(() => waiting.length === numbers.length);
      for (const { text, socket } of waiting) socket.write(answerText(text.slice(0, 6)));
      const answers = await Promise.all(asking);
      assert.deepEqual(
        answers.map(({ body }) => body.toString()),
        numbers.map(number => `GET /${number}`),
      );
    });

    it('answers one after the other, none of which changes another', async () => {
      const bodies = [
        '{"a":1}',
        '{"a":2}',
        `{"a":"${'x'.repeat(3_000)}"}`,
        `{"b":"${'y'.repeat(50_000)}"}`,
        '{"a":3}',
      ];
      const answers: UpstreamAnswer[] = [];
      for (const body of bodies) {
        imds.respond = ({ socket }) => socket.write(answerText(body));
        answers.push(await get());
      }
      assert.deepEqual(
        answers.map(answer => answer.body.toString()),
        bodies,
      );
      assert.equal(imds.openSockets, 1);
    });

    it('an answer byte for byte, without the headers of the connection', async () => {
      const body = '{"a":"\xe4\u20ac"}';
      imds.respond = ({ socket }) =>
        socket.write(
          answerText(body, {
            status: '410 Going',
            headers: ['X-A: 1', 'Connection: X-Hop', 'X-Hop: 1', 'x-a: 2'],
          }),
        );
      const answer = await get();
      assert.equal(answer.status, 410);
      assert.equal(answer.statusText, 'Going');
      assert.equal(answer.body.toString(), body);
      assert.equal(answer.contentType, 'application/json; charset=utf-8');
      assert.deepEqual(answer.rawHeaders.slice(4), [
        ...[
          'Date',
          'Thu, 01 Jan 2026 00:00:00 GMT',
          'X-A',
          '1',
          'x-a',
          '2',
          'Content-Length',
          String(Buffer.byteLength(body)),
        ],
      ]);
    });

    it('an answer that comes byte by byte', async () => {
      imds.respond = ({ socket }) => {
        socket.setNoDelay(true);
        const bytes = answerText('{"slow":true}').split('');
        const next = () => {
          const byte = bytes.shift();
          if (byte !== undefined) socket.write(byte, () => setImmediate(next));
        };
        next();
      };
      assert.equal((await get()).body.toString(), '{"slow":true}');
    });

    it('an empty one', async () => {
      imds.respond = ({ socket }) => socket.write(answerText(''));
      assert.equal((await get()).body.length, 0);
    });

    it('as much as it may, and nothing of a larger one', async () => {
      maxResponseBytes = 10;
      begin();
      imds.respond = ({ socket }) => socket.write(answerText('1234567890'));
      assert.equal((await get()).body.length, 10);
      imds.respond = ({ socket }) => socket.write(answerText('12345678901'));
      assert.equal(await codeOf(get()), 'MSI_UPSTREAM_TOO_LARGE');
      await until(() => imds.openSockets === 0);
    });
  });

  describe('leaves to Node, on another connection, what is not plain:', () => {
    const others: Readonly<Record<string, readonly [text: string, body: string]>> = {
      'a body in chunks': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n', '{}'],
      'an interim answer': [`HTTP/1.1 103 Early Hints\r\n\r\n${answerText('{}')}`, '{}'],
      'no content': ['HTTP/1.1 204 No Content\r\n\r\n', ''],
      'more than its length': [`${answerText('{}')}HTTP/1.1 200 OK\r\n`, '{}'],
    };
    for (const [name, [text, body]] of Object.entries(others)) {
      it(name, async () => {
        imds.respond = ({ socket }) => socket.write(text);
        assert.equal((await get()).body.toString(), body);
        assert.equal(imds.requests.length, 2);
        // And for a while it does not try anything else.
        assert.equal((await get()).body.toString(), body);
        assert.equal(imds.requests.length, 3);
        assert.equal(imds.requests[1]!.text, imds.requests[0]!.text);
      });
    }

    it('what is no HTTP at all', async () => {
      imds.respond = ({ socket }) => socket.write('nonsense\r\n\r\n');
      assert.equal(await codeOf(get()), 'MSI_UPSTREAM_FAILED');
      await until(() => imds.openSockets === 0);
    });

    it('a head without an end', async () => {
      imds.respond = ({ socket }) => socket.write(`HTTP/1.1 200 OK\r\nA: ${'a'.repeat(100_000)}`);
      assert.equal(await codeOf(get()), 'MSI_UPSTREAM_FAILED');
      await until(() => imds.openSockets === 0);
    });
  });

  describe('fails, and never gives a part,', () => {
    const whole = answerText('{"access_token":"secret"}');
    for (const cut of [0, 5, whole.indexOf('\r\n\r\n') + 4, whole.length - 1]) {
      for (const way of ['closes', 'resets'] as const) {
        it(`when IMDS ${way} the connection after ${cut} of ${whole.length} bytes`, async () => {
          imds.respond = ({ socket }) =>
            socket.write(whole.slice(0, cut), () =>
              way === 'closes' ? socket.end() : socket.resetAndDestroy(),
            );
          assert.equal(await codeOf(get()), 'MSI_UPSTREAM_FAILED');
          assert.equal(upstream.state.state, 'failing');
          assert.equal(imds.requests.length, 1);
        });
      }
    }

    it('when nothing listens at the address', async () => {
      await imds.stop();
      assert.equal(await codeOf(get()), 'MSI_UPSTREAM_FAILED');
      await imds.start();
    });

    it('when there is no whole answer in time', async () => {
      const fake = new FakeClock();
      clock = fake;
      begin();
      imds.respond = ({ socket }) => socket.write(answerText('{"a":1}').slice(0, -1));
      const asking = codeOf(get());
      await until(() => imds.requests.length === 1);
      await fake.advance(TIMEOUT_MILLIS);
      assert.equal(await asking, 'MSI_UPSTREAM_TIMEOUT');
      await until(() => imds.openSockets === 0);
      assert.equal(fake.pendingTimers, 0);
      assert.equal(upstream.state.state, 'failing');
    });

    it('when its own time is nearly up, which says nothing about IMDS', async () => {
      const fake = new FakeClock();
      clock = fake;
      begin();
      imds.respond = () => undefined;
      const asking = codeOf(get({ timeoutMillis: 1_999 }));
      await until(() => imds.requests.length === 1);
      await fake.advance(1_999);
      assert.equal(await asking, 'MSI_UPSTREAM_TIMEOUT');
      assert.equal(upstream.state.state, 'unknown');
      imds.respond = ({ socket }) => socket.destroy();
      assert.equal(await codeOf(get({ timeoutMillis: 1_999 })), 'MSI_UPSTREAM_FAILED');
      assert.equal(upstream.state.state, 'failing', 'a broken connection says something at any time');
    });

    it('when its client leaves', async () => {
      imds.respond = () => undefined;
      const leaver = new Leaver();
      const asking = codeOf(get({ client: leaver }));
      await until(() => imds.requests.length === 1);
      leaver.leave();
      assert.equal(await asking, 'MSI_CLIENT_LEFT');
      await until(() => imds.openSockets === 0);
      assert.equal(upstream.state.state, 'unknown', 'a client that leaves says nothing about IMDS');
    });

    it('without asking, when its client has left before', async () => {
      const leaver = new Leaver();
      leaver.leave();
      assert.equal(await codeOf(get({ client: leaver })), 'MSI_CLIENT_LEFT');
      assert.equal(imds.requests.length, 0);
    });
  });

  describe('uses connections', () => {
    it('again, one after the other', async () => {
      for (let count = 0; count < 10; count += 1) await get();
      assert.equal(imds.sockets.length, 1);
    });

    for (const header of ['Connection: close', 'Keep-Alive: timeout=1']) {
      it(`not again after ${header}`, async () => {
        imds.respond = ({ socket }) => socket.write(answerText('{}', { headers: [header] }));
        await get();
        await until(() => imds.openSockets === 0);
        await get();
        assert.equal(imds.sockets.length, 2);
      });
    }

    it('not again when something comes that nobody asked for', async () => {
      await get();
      imds.sockets[0]!.write(answerText('{"stray":true}'));
      await until(() => imds.openSockets === 0);
      assert.equal((await get()).body.toString(), '{"ok":true}');
    });

    it('five at once at most, together with those of Node', async () => {
      imds.respond = () => undefined;
      const plain = Array.from({ length: 3 }, () => get());
      await until(() => imds.requests.length === 3);
      // What is not plain for one is left to Node for all that come then.
      imds.requests[0]!.socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      await until(() => imds.requests.length === 4);
      const others = Array.from({ length: 6 }, () => get());
      await until(() => imds.requests.length === 6);
      let most = imds.openSockets;
      imds.respond = ({ socket }) => void answerAndCount(socket);
      /** The end of a connection is there before the next one, but may be noticed after it. */
      async function answerAndCount(socket: Socket): Promise<void> {
        for (let turn = 0; turn < 5; turn += 1) await new Promise(resolve => setImmediate(resolve));
        most = Math.max(most, imds.openSockets);
        socket.write(answerText('{}'));
      }
      for (const { socket } of imds.requests.slice(1)) socket.write(answerText('{}'));
      await Promise.all([...plain, ...others]);
      assert.equal(most, 5);
    });

    it('of Node in turn with its own when there is no room', async () => {
      await Promise.all(Array.from({ length: 5 }, () => get()));
      assert.equal(imds.sockets.length, 5);
      imds.respond = ({ socket }) => socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      assert.deepEqual(
        (await Promise.all(Array.from({ length: 3 }, () => get()))).map(({ status }) => status),
        [204, 204, 204],
      );
      await until(() => imds.openSockets <= 5);
    });

    it('that IMDS has closed while they were idle once more on a new one', async () => {
      await get();
      imds.respond = ({ socket, connection }) => {
        if (connection === 0) socket.resetAndDestroy();
        else socket.write(answerText('{"second":true}'));
      };
      assert.equal((await get()).body.toString(), '{"second":true}');
      assert.equal(imds.requests.length, 3);
    });

    it('that IMDS has closed only for the time that is left', async () => {
      const fake = new FakeClock();
      clock = fake;
      begin();
      await get();
      imds.respond = ({ socket, connection }) => {
        if (connection > 0) return;
        fake.pass(TIMEOUT_MILLIS - 1_000);
        socket.resetAndDestroy();
      };
      const asking = codeOf(get());
      await until(() => imds.requests.length === 3);
      await fake.advance(1_000);
      await until(() => imds.openSockets === 0);
      assert.equal(await asking, 'MSI_UPSTREAM_TIMEOUT');
      assert.equal(fake.monotonicMillis(), TIMEOUT_MILLIS);
    });

    it('that break in the middle of an answer not again', async () => {
      await get();
      imds.respond = ({ socket }) => socket.write('HTTP/1.1 2', () => socket.resetAndDestroy());
      assert.equal(await codeOf(get()), 'MSI_UPSTREAM_FAILED');
      assert.equal(imds.requests.length, 2);
    });
  });
});
