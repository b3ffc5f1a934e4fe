import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket, type AddressInfo } from 'node:net';
import { systemClock, type Clock } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { Relay } from '../../src/relay.ts';
import type { UpstreamAnswer } from '../../src/upstream/upstream-answer.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { open, requestText, sendRaw } from './support/raw-client.ts';
import { answerText, RawUpstream } from './support/raw-upstream.ts';
import { until } from './support/until.ts';

const TARGET = '/metadata/instance?api-version=2021-02-01';
const TIMEOUT_MILLIS = 5_000;

type Outcome = UpstreamAnswer | Error;

interface SendOptions {
  readonly target?: string;
  readonly body?: Buffer;
  readonly isInspected?: boolean;
  readonly timeoutMillis?: number;
}

describe('the relay', () => {
  let imds: RawUpstream;
  let upstream: Upstream;
  let front: Server;
  let port: number;
  let outcomes: Outcome[];
  let options: SendOptions;
  let clock: Clock;
  let maxResponseBytes: number;

  /** A front that relays each request as it comes; what the gate refuses is tested at the server. */
  function relayTo(relay: Relay) {
    return async (request: IncomingMessage, response: ServerResponse) => {
      // As the server does with a body; the library notices a client that leaves only while there is something to read.
      await request.toArray();
      const outcome = await relay
        .send({
          request,
          response,
          target: options.target ?? request.url ?? '',
          body: options.body ?? Buffer.alloc(0),
          timeoutMillis: options.timeoutMillis ?? TIMEOUT_MILLIS,
          isInspected: options.isInspected ?? false,
        })
        .catch((error: unknown) => error as Error);
      outcomes.push(outcome);
      response.statusCode = outcome instanceof Error ? 503 : outcome.status;
      response.end();
    };
  }

  async function start(): Promise<void> {
    upstream = new Upstream({ host: '127.0.0.1', port: imds.port });
    const relay = relayTo(new Relay({ upstream, clock, maxResponseBytes }));
    front = createServer((request, response) => void relay(request, response));
    await new Promise<void>(resolve => {
      front.listen(0, '127.0.0.1', resolve);
    });
    ({ port } = front.address() as AddressInfo);
  }

  async function ask(target = TARGET, headers: readonly string[] = ['Metadata: true']): Promise<Outcome> {
    await sendRaw({ port }, requestText(target, { headers }));
    return outcomes.at(-1)!;
  }

  function waitingRequests(): number {
    return Object.values(upstream.agent.requests).flat().length;
  }

  function codeOf(outcome: Outcome | undefined): string | undefined {
    return outcome instanceof Error && 'code' in outcome ? String(outcome.code) : undefined;
  }

  beforeEach(async () => {
    imds = new RawUpstream();
    await imds.start();
    outcomes = [];
    options = {};
    clock = systemClock;
    maxResponseBytes = 100_000;
  });

  afterEach(async () => {
    const closed = new Promise(resolve => front.close(resolve));
    front.closeAllConnections();
    upstream.destroy();
    await imds.stop();
    await closed;
  });

  describe('sends what was judged, byte for byte', () => {
    const targets = [
      '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net%2F',
      '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net//a?b=http://c',
      "/metadata/identity/oauth2/token?resource=a'b(c)*~!$,:@",
      '/metadata/instance/?api-version=2021-02-01',
      '/metadata/instance?x=%7e%2E%2f%41',
      '/metadata/versions?',
      // The gate never lets these pass; the library must not mend them either.
      '/metadata\\identity?a=b',
      '/metadata/identity/..?a=\\b',
    ];
    for (const target of targets) {
      it(target, async () => {
        await start();
        await ask(target);
        assert.equal(imds.requests[0]?.text.split('\r\n')[0], `GET ${target} HTTP/1.1`);
      });
    }

    it('the target of the decision, not the one that the client sent', async () => {
      options = { target: `${TARGET}&client_id=x` };
      await start();
      await ask(TARGET);
      assert.match(imds.requests[0]!.text, /^GET \/metadata\/instance\?api-version=2021-02-01&client_id=x /);
    });

    it('a body that was read before, with its length', async () => {
      const body = Buffer.from('{"StartRequests":[{"EventId":"1"}]}');
      options = { body };
      await start();
      const text = requestText(TARGET, { method: 'POST', body: body.toString() });
      await sendRaw({ port }, text);
      const seen = imds.requests[0]!.text;
      assert.ok(seen.endsWith(`\r\n\r\n${body.toString()}`));
      assert.match(seen, /content-length: 35\r\n/i);
      assert.doesNotMatch(seen, /transfer-encoding/i);
    });
  });

  it('sends the headers of the client without those of its connection, and the Host that IMDS expects', async () => {
    await start();
    await ask(TARGET, [
      'Metadata: True',
      'x-ms-client-request-id: 7',
      'Content-Type: application/x-www-form-urlencoded',
      'Content-Length: 0',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic x',
      'TE: trailers',
      'Via: 1.1 other',
      'Forwarded: for=1.2.3.4',
      'X-Forwarded-Host: other',
    ]);
    const lines = imds.requests[0]!.text.trimEnd().split('\r\n').slice(1);
    assert.deepEqual(lines.map(line => line.toLowerCase()).sort(), [
      'connection: keep-alive',
      'content-type: application/x-www-form-urlencoded',
      `host: 127.0.0.1:${imds.port}`,
      'metadata: true',
      'x-ms-client-request-id: 7',
    ]);
    assert.ok(lines.includes('metadata: True'), 'the value was changed');
  });

  it('does not send headers that the client names in Connection', async () => {
    await start();
    await sendRaw(
      { port },
      `GET ${TARGET} HTTP/1.1\r\nHost: a\r\nMetadata: true\r\nX-Hop: 1\r\nConnection: close, X-Hop\r\n\r\n`,
    );
    assert.doesNotMatch(imds.requests[0]!.text, /x-hop/i);
  });

  it('survives a Trailer header, with which the library alone would throw', async () => {
    await start();
    assert.ok(!((await ask(TARGET, ['Metadata: true', 'Trailer: X-Sum'])) instanceof Error));
  });

  it('asks for answers that it can read when they are inspected', async () => {
    options = { isInspected: true };
    await start();
    const headers = ['Accept: text/xml', 'Accept-Encoding: gzip', 'Range: bytes=5-', 'If-Range: x'];
    await ask(TARGET, ['Metadata: true', ...headers]);
    assert.doesNotMatch(imds.requests[0]!.text, /accept|range/i);
  });

  describe('receives', () => {
    it('a whole answer with its headers, except those of the connection', async () => {
      imds.respond = ({ socket }) =>
        socket.write(
          answerText('{"a":1}', {
            status: '410 Going',
            headers: [
              'Retry-After: 7',
              'Connection: keep-alive, X-Hop',
              'Keep-Alive: timeout=5',
              'X-Hop: 1',
              'Proxy-Authenticate: Basic',
              'Set-Cookie: a=1',
              'Set-Cookie: b=2',
            ],
          }),
        );
      await start();
      const answer = (await ask()) as UpstreamAnswer;
      assert.equal(answer.status, 410);
      assert.equal(answer.statusText, 'Going');
      assert.equal(answer.body.toString(), '{"a":1}');
      assert.deepEqual(answer.rawHeaders, [
        'Content-Type',
        'application/json; charset=utf-8',
        'Server',
        'IMDS/150.870.65.1854',
        'Date',
        'Thu, 01 Jan 2026 00:00:00 GMT',
        'Retry-After',
        '7',
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
        'Content-Length',
        '7',
      ]);
    });

    it('a chunked answer as one body', async () => {
      imds.respond = ({ socket }) =>
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n');
      await start();
      const answer = (await ask()) as UpstreamAnswer;
      assert.equal(answer.body.toString(), '{} ');
      assert.deepEqual(answer.rawHeaders, []);
    });

    it('no more than the limit, and cuts the connection of a larger answer', async () => {
      maxResponseBytes = 10;
      imds.respond = ({ socket }) => socket.write(answerText('12345678901'));
      await start();
      assert.equal(codeOf(await ask()), 'MSI_UPSTREAM_TOO_LARGE');
      await until(() => imds.openSockets === 0);
      imds.respond = ({ socket }) => socket.write(answerText('1234567890'));
      assert.ok(!((await ask()) instanceof Error));
    });
  });

  describe('fails, and never passes on a part,', () => {
    const whole = answerText('{"access_token":"secret"}');
    for (const cut of [0, 5, whole.indexOf('\r\n\r\n') + 4, whole.length - 1]) {
      for (const way of ['closes', 'resets'] as const) {
        it(`when IMDS ${way} the connection after ${cut} of ${whole.length} bytes`, async () => {
          imds.respond = ({ socket }) =>
            socket.write(whole.slice(0, cut), () =>
              way === 'closes' ? socket.end() : socket.resetAndDestroy(),
            );
          await start();
          assert.equal(codeOf(await ask()), 'MSI_UPSTREAM_FAILED');
          assert.equal(upstream.state.state, 'failing');
        });
      }
    }

    it('when a chunked answer breaks off', async () => {
      imds.respond = ({ socket }) =>
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n');
      await start();
      assert.equal(codeOf(await ask()), 'MSI_UPSTREAM_FAILED');
    });

    it('when IMDS does not speak HTTP', async () => {
      imds.respond = ({ socket }) => socket.write('nonsense\r\n\r\n');
      await start();
      assert.equal(codeOf(await ask()), 'MSI_UPSTREAM_FAILED');
    });

    it('when nothing listens at the address', async () => {
      await start();
      await imds.stop();
      assert.equal(codeOf(await ask()), 'MSI_UPSTREAM_FAILED');
      await imds.start();
    });
  });

  describe('keeps time', () => {
    let fakeClock: FakeClock;

    beforeEach(() => {
      fakeClock = new FakeClock();
      clock = fakeClock;
    });

    it('for the whole answer, also when it trickles', async () => {
      imds.respond = ({ socket }) => socket.write(answerText('{"a":1}').slice(0, -1));
      await start();
      const asking = ask();
      await until(() => imds.requests.length === 1);
      await fakeClock.advance(TIMEOUT_MILLIS - 1);
      assert.deepEqual(outcomes, []);
      await fakeClock.advance(1);
      assert.equal(codeOf(await asking), 'MSI_UPSTREAM_TIMEOUT');
      await until(() => imds.openSockets === 0);
      assert.equal(fakeClock.pendingTimers, 0);
      assert.equal(upstream.state.state, 'failing');
    });

    it('and takes IMDS for failing only when it had some', async () => {
      options = { timeoutMillis: 1_999 };
      imds.respond = () => undefined;
      await start();
      const asking = ask();
      await until(() => imds.requests.length === 1);
      await fakeClock.advance(1_999);
      assert.equal(codeOf(await asking), 'MSI_UPSTREAM_TIMEOUT');
      assert.equal(upstream.state.state, 'unknown');
    });

    it('for the connection by itself', async () => {
      await start();
      upstream.agent.createConnection = () => {
        return Object.defineProperty(new Socket(), 'connecting', { value: true });
      };
      const asking = ask();
      await until(() => fakeClock.pendingTimers === 2);
      await fakeClock.advance(2_000);
      assert.equal(codeOf(await asking), 'MSI_UPSTREAM_TIMEOUT');
      assert.equal(fakeClock.pendingTimers, 0);
    });

    it('leaves no timer behind when all is well', async () => {
      await start();
      assert.ok(!((await ask()) instanceof Error));
      assert.equal(fakeClock.pendingTimers, 0);
    });
  });

  describe('cancels', () => {
    it('the request to IMDS when the client leaves', async () => {
      imds.respond = () => undefined;
      await start();
      const client = open({ port });
      client.write(requestText(TARGET));
      await until(() => imds.requests.length === 1);
      client.destroy();
      await until(() => imds.openSockets === 0 && outcomes.length === 1);
      assert.equal(codeOf(outcomes[0]), 'MSI_CLIENT_LEFT');
      assert.equal(upstream.state.state, 'unknown', 'a client that leaves says nothing about IMDS');
    });

    it('a request that waits for a free connection, so that it is never sent', async () => {
      imds.respond = () => undefined;
      await start();
      const clients = Array.from({ length: 5 }, () => open({ port }));
      for (const client of clients) client.write(requestText(TARGET));
      await until(() => imds.requests.length === 5);
      const waiting = open({ port });
      waiting.write(requestText('/metadata/versions'));
      await until(() => waitingRequests() === 1);
      waiting.destroy();
      await until(() => outcomes.length === 1);
      imds.respond = ({ socket }) => socket.write(answerText('{}'));
      for (const { socket } of imds.requests) socket.write(answerText('{}'));
      await until(() => outcomes.length === 6);
      await ask();
      assert.ok(imds.requests.every(({ text }) => !text.includes('versions')));
      for (const client of clients) client.destroy();
    });
  });

  describe('uses connections', () => {
    it('again, one after the other', async () => {
      await start();
      for (let count = 0; count < 10; count += 1) await ask();
      assert.equal(imds.sockets.length, 1);
    });

    it('five at once at most', async () => {
      imds.respond = () => undefined;
      await start();
      const clients = Array.from({ length: 8 }, () => open({ port }));
      for (const client of clients) client.write(requestText(TARGET));
      await until(() => waitingRequests() === 3);
      assert.equal(imds.sockets.length, 5);
      for (const client of clients) client.destroy();
    });

    describe('that IMDS has closed while they were idle', () => {
      beforeEach(async () => {
        await start();
        await ask();
        assert.equal(imds.sockets.length, 1);
        // Dies with the next request, as a connection does whose close crosses it.
        imds.respond = ({ socket, connection }) => {
          if (connection === 0) socket.resetAndDestroy();
          else socket.write(answerText('{"second":true}'));
        };
      });

      it('once more on a new one for a GET', async () => {
        const answer = (await ask()) as UpstreamAnswer;
        assert.equal(answer.body.toString(), '{"second":true}');
        assert.equal(imds.requests.length, 3);
      });

      it('once more on a new one where all idle ones are dead', async () => {
        imds.respond = () => undefined;
        const clients = [open({ port }), open({ port })];
        for (const client of clients) client.write(requestText(TARGET));
        await until(() => imds.requests.length === 3);
        for (const { socket } of imds.requests.slice(1)) socket.write(answerText('{}'));
        await until(() => outcomes.length === 3);
        imds.respond = ({ socket, connection }) => {
          if (connection < 2) socket.resetAndDestroy();
          else socket.write(answerText('{"third":true}'));
        };
        const answer = (await ask()) as UpstreamAnswer;
        assert.equal(answer.body.toString(), '{"third":true}');
        for (const client of clients) client.destroy();
      });

      it('not again for a POST', async () => {
        options = { body: Buffer.from('{}') };
        await sendRaw({ port }, requestText(TARGET, { method: 'POST', body: '{}' }));
        assert.equal(codeOf(outcomes.at(-1)), 'MSI_UPSTREAM_FAILED');
        assert.equal(imds.requests.length, 2);
      });

      it('only once', async () => {
        imds.respond = ({ socket }) => socket.resetAndDestroy();
        assert.equal(codeOf(await ask()), 'MSI_UPSTREAM_FAILED');
        assert.equal(imds.requests.length, 3);
      });
    });

    it('does not repeat what failed on a new connection', async () => {
      imds.respond = ({ socket }) => socket.resetAndDestroy();
      await start();
      assert.equal(codeOf(await ask()), 'MSI_UPSTREAM_FAILED');
      assert.equal(imds.requests.length, 1);
    });
  });

  it('leaves no listeners on a request that is sent again and again', async () => {
    imds.respond = ({ socket }) => socket.write(answerText('{}', { status: '500 Error' }));
    await start();
    const relay = new Relay({ upstream, clock, maxResponseBytes });
    const counts: number[][] = [];
    front.removeAllListeners('request');
    front.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const emitters = [request, response] as const;
      const count = () =>
        emitters.flatMap(emitter => emitter.eventNames().map(name => emitter.listenerCount(name)));
      const sendAll = async () => {
        counts.push(count());
        for (let tries = 0; tries < 20; tries += 1) {
          await relay.send({
            ...{ request, response, target: TARGET, body: Buffer.alloc(0) },
            ...{ timeoutMillis: TIMEOUT_MILLIS, isInspected: false },
          });
        }
        counts.push(count());
        response.end();
      };
      void sendAll();
    });
    await sendRaw({ port }, requestText(TARGET));
    assert.equal(imds.requests.length, 20);
    const [before, after] = counts;
    assert.deepEqual(after, before);
  });

  it('knows how IMDS does', async () => {
    await start();
    assert.deepEqual(upstream.state, { state: 'unknown' });
    await ask();
    assert.deepEqual(upstream.state, { state: 'answering' });
    imds.respond = ({ socket }) => socket.destroy();
    await ask();
    await ask();
    assert.equal(upstream.state.state, 'failing');
    imds.respond = ({ socket }) => socket.write(answerText('{}'));
    await ask();
    assert.deepEqual(upstream.state, { state: 'answering' });
  });
});
