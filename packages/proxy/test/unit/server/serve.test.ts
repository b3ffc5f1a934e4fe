import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { INSTANCE_HEADER, READY_PATH } from '@msi-proxy/shared';
import { settle } from '@msi-proxy/shared/testing';
import { callerAt, grantOf, UNLABELLED } from '../support/callers.ts';
import { ask, CLIENT_ADDRESS, open, readAll, requestText, sendRaw } from '../support/raw-client.ts';
import { answerText, RawUpstream, type SeenRequest } from '../support/raw-upstream.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';
import { tokenText } from '../support/token-text.ts';
import { until } from '../support/until.ts';

const TOKEN = '/metadata/identity/oauth2/token';
const TOKEN_REQUEST = `${TOKEN}?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net%2F`;
const INSTANCE = '/metadata/instance?api-version=2021-02-01';
const VERSIONS = '/metadata/versions';
const SCHEDULED_EVENTS = '/metadata/scheduledevents?api-version=2020-07-01';

const CLIENT = callerAt(CLIENT_ADDRESS);
const OTHER = callerAt(CLIENT_ADDRESS, { containerId: 'd'.repeat(64), grant: UNLABELLED });

function json(body: string): unknown {
  return JSON.parse(body);
}

describe('the server', () => {
  let imds: RawUpstream;
  let running: ProxyUnderTest;

  async function start(environment: Record<string, string> = {}): Promise<void> {
    running = await startProxy({ imdsPort: imds.port, environment });
  }

  function get(target: string, options: { from?: string; headers?: readonly string[] } = {}) {
    return ask(target, { port: running.port, ...options });
  }

  function audited(): Record<string, unknown>[] {
    return running.log.filter(line => line['msg'] === 'request');
  }

  beforeEach(async () => {
    imds = new RawUpstream();
    imds.respond = ({ text, socket }) => {
      const isToken = text.startsWith(`GET ${TOKEN}?`);
      socket.write(answerText(isToken ? tokenText() : '{"ok":true}'));
    };
    await imds.start();
  });

  afterEach(async () => {
    await running.stop();
    await imds.stop();
  });

  describe('answers probes of SDKs', () => {
    for (const target of [TOKEN, `${TOKEN}?api-version=2018-02-01`, TOKEN_REQUEST]) {
      it(`to ${target.slice(0, 60)} at once, without a monitor and without IMDS`, async () => {
        await start();
        const answer = await get(target, { headers: ['Accept: application/json'] });
        assert.equal(answer.status, 400);
        assert.deepEqual(json(answer.body), {
          error: 'invalid_request',
          error_description: 'Required metadata header not specified',
        });
        assert.match(answer.headers['server'] ?? '', /IMDS/);
        assert.equal(imds.bytesReceived, 0);
      });
    }

    it('that only connect and leave', async () => {
      await start();
      for (let count = 0; count < 20; count += 1) {
        const socket = open({ port: running.port });
        socket.on('connect', () => socket.destroy());
        await readAll(socket);
      }
      assert.equal((await get(TOKEN, { headers: [] })).status, 400);
    });
  });

  describe('relays', () => {
    it('what a client may have, and passes the answer on as it is', async () => {
      await start();
      await running.join(CLIENT);
      imds.respond = ({ socket }) =>
        socket.write(
          'HTTP/1.1 200 OK\r\nServer: IMDS/150\r\nContent-Type: application/json; charset=utf-8\r\n' +
            'Transfer-Encoding: chunked\r\n\r\n6\r\n{ "a":\r\n3\r\n1 }\r\n0\r\n\r\n',
        );
      const answer = await get(VERSIONS);
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.headerLines, [
        'Server: IMDS/150',
        'Content-Type: application/json; charset=utf-8',
        'Content-Length: 9',
        'Connection: close',
      ]);
      assert.equal(answer.body, '{ "a":1 }');
      const { text } = imds.requests[0]!;
      assert.ok(text.startsWith(`GET ${VERSIONS} HTTP/1.1\r\n`));
      assert.doesNotMatch(text, /forwarded|via:/i);
    });

    for (const status of ['400 Bad Request', '404 Not Found', '410 Gone', '429 Too Many', '500 Oops']) {
      it(`an answer of ${status} too, at the end of its patience`, async () => {
        await start({ MSI_PROXY_UPSTREAM_TIMEOUT_MS: '200' });
        await running.join(CLIENT);
        imds.respond = ({ socket }) =>
          socket.write(answerText('{"error":"x"}', { status, headers: ['Retry-After: 3'] }));
        const answer = await get(TOKEN_REQUEST);
        assert.ok(answer.text.startsWith(`HTTP/1.1 ${status}\r\n`));
        assert.equal(answer.headers['retry-after'], '3');
        assert.equal(answer.body, '{"error":"x"}');
      });
    }

    it('a request that offers HTTP/2, in HTTP/1.1, without the offer, and goes on so', async () => {
      await start();
      await running.join(CLIENT);
      const offer = ['Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABk', 'Upgrade: h2c'];
      const head = ['Host: 169.254.169.254', 'Metadata: true', '', ''];
      const first = [`GET ${TOKEN_REQUEST} HTTP/1.1`, ...offer, ...head].join('\r\n');
      const socket = open({ port: running.port });
      socket.write(first);
      socket.once('data', () => socket.write(requestText(VERSIONS)));
      const { text } = await readAll(socket);
      assert.equal(text.match(/HTTP\/1\.1 200 OK\r/g)?.length, 2, text);
      assert.equal(imds.requests.length, 2);
      assert.doesNotMatch(imds.requests.map(request => request.text).join(), /upgrade|http2|h2c/i);
    });

    it('a HEAD without a body, with the length that IMDS gave', async () => {
      await start();
      await running.join(CLIENT);
      imds.respond = ({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n');
      const answer = await ask(VERSIONS, { port: running.port, method: 'HEAD' });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['content-length'], '77');
      assert.equal(answer.body, '');
    });

    it('the default identity of the policy for a request that names none', async () => {
      await start();
      const id = '00000000-0000-0000-0000-000000000007';
      const grant = grantOf({
        defaultIdentity: { kind: 'client-id', id },
        identities: [{ kind: 'client-id', id }],
      });
      await running.join(callerAt(CLIENT_ADDRESS, { grant }));
      await get(TOKEN_REQUEST);
      assert.match(imds.requests[0]?.text ?? '', new RegExp(`^GET \\S+[?&]client_id=${id}&`));
    });

    for (const { method, target } of [
      { method: 'GET', target: '/metadata/identity/getplatformmetadata?cred-api-version=2.0' },
      { method: 'HEAD', target: TOKEN_REQUEST },
    ]) {
      it(`${method} ${target.split('?', 1)[0]} for the default identity of the policy too`, async () => {
        await start();
        const identity = { kind: 'client-id', id: '00000000-0000-0000-0000-000000000007' } as const;
        const policy = { defaultIdentity: identity, identities: [identity] };
        const grant = grantOf({ ...policy, endpoints: ['token', 'credential'] });
        await running.join(callerAt(CLIENT_ADDRESS, { grant }));
        imds.respond = ({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
        assert.equal((await ask(target, { port: running.port, method })).status, 200);
        const [line = ''] = imds.requests[0]!.text.split('\r\n');
        assert.equal(line, `${method} ${target}&client_id=${identity.id} HTTP/1.1`);
      });
    }

    for (const { fate, respond, status } of [
      {
        fate: 'fails',
        respond: ({ socket }: SeenRequest) => {
          socket.write(answerText('{"error":"x"}', { status: '500 Oops' }));
        },
        status: 500,
      },
      {
        fate: 'is cut off',
        respond: ({ socket }: SeenRequest) => {
          socket.resetAndDestroy();
        },
        status: 503,
      },
    ]) {
      it(`an acknowledgement of scheduled events once, also when it ${fate}`, async () => {
        await start({ MSI_PROXY_SCHEDULED_EVENTS_TIMEOUT_MS: '3000' });
        const grant = grantOf({ endpoints: ['scheduledevents-ack'] });
        await running.join(callerAt(CLIENT_ADDRESS, { grant }));
        imds.respond = respond;
        const answer = await ask(SCHEDULED_EVENTS, { port: running.port, method: 'POST', body: '{}' });
        assert.equal(answer.status, status);
        assert.equal(imds.requests.length, 1);
      });
    }

    it('an acknowledgement of scheduled events with its body untouched', async () => {
      await start();
      const grant = grantOf({ endpoints: ['scheduledevents-ack'] });
      await running.join(callerAt(CLIENT_ADDRESS, { grant }));
      const body = '{"StartRequests" : [{"EventId":"1"}]}';
      const headers = ['Metadata: true', 'Content-Type: application/x-www-form-urlencoded'];
      await ask(SCHEDULED_EVENTS, { port: running.port, method: 'POST', body, headers });
      const { text } = imds.requests[0]!;
      assert.ok(text.endsWith(`\r\n\r\n${body}`));
      assert.match(text, /content-type: application\/x-www-form-urlencoded\r\n/);
    });

    it('several requests over one connection of the client', async () => {
      await start();
      await running.join(CLIENT);
      const keepAlive = requestText(VERSIONS).replace('Connection: close', 'Connection: keep-alive');
      const answer = await sendRaw({ port: running.port }, keepAlive + keepAlive + requestText(VERSIONS));
      assert.equal(answer.text.match(/HTTP\/1\.1 200/g)?.length, 3);
    });

    it('user data only to those who may have it', async () => {
      await start();
      await running.join(
        CLIENT,
        callerAt('127.0.0.3', { grant: grantOf({ endpoints: ['instance', 'userdata'] }) }),
      );
      const document = '{"compute":{"name":"vm", "userData":"c2VjcmV0","customData":""}}';
      imds.respond = ({ socket }) => socket.write(answerText(document));
      assert.deepEqual(json((await get(INSTANCE)).body), { compute: { name: 'vm' } });
      assert.equal((await get(INSTANCE, { from: '127.0.0.3' })).body, document);
    });

    it('no instance document that it cannot search for user data', async () => {
      await start();
      await running.join(CLIENT);
      imds.respond = ({ socket }) =>
        socket.write(answerText('\u001f\u008b', { headers: ['Content-Encoding: gzip'] }));
      assert.equal((await get(INSTANCE)).status, 503);
      imds.respond = ({ socket }) => socket.write(answerText('"c2Vj', { status: '206 Partial Content' }));
      assert.equal((await get(INSTANCE)).status, 503);
    });
  });

  describe('refuses', () => {
    beforeEach(async () => {
      await start({ MSI_PROXY_CONFIRM_AFTER_MS: '60000' });
      await running.join(CLIENT, callerAt('127.0.0.3', { grant: UNLABELLED }));
    });

    afterEach(() => {
      assert.equal(imds.bytesReceived, 0, 'something reached IMDS');
    });

    it('a container without the label as a VM without an identity', async () => {
      const answer = await get(TOKEN_REQUEST, { from: '127.0.0.3' });
      assert.equal(answer.status, 400);
      assert.deepEqual(json(answer.body), {
        error: 'invalid_request',
        error_description: 'Identity not found',
      });
      assert.equal((await get(INSTANCE, { from: '127.0.0.3' })).status, 403);
    });

    it('an address that nobody has', async () => {
      assert.equal((await get(TOKEN_REQUEST, { from: '127.0.0.4' })).status, 400);
      assert.equal((await get(INSTANCE, { from: '127.0.0.4' })).status, 403);
    });

    it('a client what its policy does not name', async () => {
      const answer = await get('/metadata/attested/document?api-version=2020-09-01');
      assert.equal(answer.status, 403);
      assert.match(answer.body, /com\.msi-proxy\.endpoints/);
      assert.doesNotMatch(answer.body, /unreachable/i);
    });

    const valid = `GET ${TOKEN_REQUEST} HTTP/1.1\r\nHost: a\r\nMetadata: true\r\n`;
    const requests: [name: string, bytes: string, status?: number][] = [
      ['a forwarded request', `${valid}X-Forwarded-For: 1.2.3.4\r\n\r\n`],
      [
        'a backslash',
        `GET /metadata/identity\\oauth2\\token?x=1 HTTP/1.1\r\nHost: a\r\nMetadata: true\r\n\r\n`,
      ],
      ['a Trailer header', `${valid}Trailer: X-Sum\r\n\r\n`],
      ['a chunked GET', `${valid}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
      [
        'a second request in the body of a DELETE',
        `DELETE ${TOKEN_REQUEST} HTTP/1.1\r\nHost: a\r\nMetadata: true\r\nTransfer-Encoding: chunked\r\n\r\n` +
          `2b\r\n${'GET /metadata/versions HTTP/1.1\r\nHost: a\r\n\r\n'.slice(0, 43)}\r\n0\r\n\r\n`,
        405,
      ],
      ['a body whose length is given twice', `${valid}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd`],
      ['length and chunks', `${valid}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
      ['Expect', `${valid}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`],
      ['an unknown expectation', `${valid}Expect: tea\r\n\r\n`],
      ['an upgrade', `${valid}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`],
      ['two Host headers', `${valid}Host: b\r\n\r\n`],
      ['no Host header', `GET ${VERSIONS} HTTP/1.1\r\nMetadata: true\r\nConnection: close\r\n\r\n`],
      ['no Host header on a connection that stays', `GET ${VERSIONS} HTTP/1.1\r\nMetadata: true\r\n\r\n`],
      ['another version of HTTP', `GET ${VERSIONS} HTTP/2.0\r\nHost: a\r\nMetadata: true\r\n\r\n`],
      [
        'an absolute target',
        `GET http://169.254.169.254${VERSIONS} HTTP/1.1\r\nHost: a\r\nMetadata: true\r\n\r\n`,
      ],
      ['what is no HTTP', 'nonsense\r\n\r\n'],
      ['a bare line feed', `GET ${VERSIONS} HTTP/1.1\nHost: a\n\n`],
      ['a header block that is too large', `${valid}X: ${'x'.repeat(9_000)}\r\n\r\n`],
      ['too many headers', `${valid}${'X: 1\r\n'.repeat(63)}\r\n`],
      ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000'],
    ];
    for (const [name, bytes, status = 400] of requests) {
      it(`${name}, in IMDS's own shape, also when the same bytes come again`, async () => {
        // From then on the client is one whose requests are answered at once where they are known.
        assert.equal((await get(READY_PATH, { headers: [] })).status, 200);
        for (let times = 1; times <= 2; times += 1) {
          const socket = open({ port: running.port });
          socket.write(bytes, 'latin1');
          socket.on('data', () => socket.end());
          const answer = await readAll(socket);
          assert.equal(answer.status, status, answer.text);
          assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
          assert.ok(Object.hasOwn(json(answer.body) as object, 'error'));
          assert.equal(Number(answer.headers['content-length']), answer.body.length);
          assert.equal(answer.headers['x-powered-by'], undefined);
        }
      });
    }

    it('CONNECT by closing', async () => {
      const answer = await sendRaw({ port: running.port }, 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n');
      assert.equal(answer.text, '');
    });

    it('to take the body of a refused request for the next one', async () => {
      const smuggled = `GET ${INSTANCE} HTTP/1.1\r\nHost: a\r\nMetadata: true\r\n\r\n`;
      const answer = await sendRaw(
        { port: running.port },
        `POST ${TOKEN_REQUEST} HTTP/1.1\r\nHost: a\r\nMetadata: true\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      );
      assert.equal(answer.text.match(/HTTP\/1\.1/g)?.length, 1);
    });
  });

  describe('says in words what a guard of IMDS refuses without any', () => {
    const INFO = '/metadata/identity/info?api-version=2018-02-01';
    const ALL = grantOf({ endpoints: ['instance', 'identity-info', 'attested', 'scheduledevents-ack'] });
    const refusals: [status: string, contentType: string][] = [
      ['403 Forbidden', 'application/json'],
      ['421 Misdirected Request', 'text/plain'],
    ];

    for (const [status, type] of refusals) {
      const refuse = ({ socket }: { readonly socket: Socket }) => {
        socket.write(`HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: 0\r\n\r\n`);
      };

      for (const { method, target, member } of [
        { method: 'GET', target: INFO, member: 'error_description' },
        { method: 'GET', target: INSTANCE, member: 'error' },
        { method: 'GET', target: VERSIONS, member: 'error' },
        { method: 'GET', target: '/metadata/attested/document?api-version=2020-09-01', member: 'error' },
        { method: 'POST', target: SCHEDULED_EVENTS, member: 'error' },
      ]) {
        it(`of ${method} ${target} with ${status}`, async () => {
          await start();
          await running.join(callerAt(CLIENT_ADDRESS, { grant: ALL }));
          imds.respond = refuse;
          const body = method === 'POST' ? '{}' : '';
          const answer = await ask(target, { port: running.port, method, body });
          assert.ok(answer.text.startsWith(`HTTP/1.1 ${status}\r\n`), answer.text);
          assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
          assert.match((json(answer.body) as Record<string, string>)[member] ?? '', /Guest Proxy Agent/);
        });
      }

      it(`but of no HEAD, with ${status}`, async () => {
        await start();
        await running.join(callerAt(CLIENT_ADDRESS, { grant: ALL }));
        imds.respond = refuse;
        const answer = await ask(VERSIONS, { port: running.port, method: 'HEAD' });
        assert.ok(answer.text.startsWith(`HTTP/1.1 ${status}\r\n`), answer.text);
        assert.equal(answer.headers['content-length'], '0');
        assert.equal(answer.body, '');
      });
    }

    it('and leaves IMDS its own words', async () => {
      await start();
      await running.join(CLIENT);
      imds.respond = ({ socket }) =>
        socket.write(answerText('{"error":"mine"}', { status: '403 Forbidden' }));
      assert.equal((await get(INSTANCE)).body, '{"error":"mine"}');
    });
  });

  describe('answers 503 in the right shape and closes', () => {
    const cases: [name: string, respond: RawUpstream['respond']][] = [
      ['dies without an answer', ({ socket }) => socket.destroy()],
      [
        'resets in the middle of a body',
        ({ socket }) =>
          socket.write(answerText('{"access_token":"x"}').slice(0, -3), () => socket.resetAndDestroy()),
      ],
      ['does not answer in time', () => undefined],
    ];
    for (const [name, respond] of cases) {
      it(`when IMDS ${name}`, async () => {
        await start({ MSI_PROXY_UPSTREAM_TIMEOUT_MS: '100' });
        await running.join(CLIENT);
        imds.respond = respond;
        const keepAlive = requestText(TOKEN_REQUEST).replace('close', 'keep-alive');
        const answer = await sendRaw({ port: running.port }, keepAlive);
        assert.equal(answer.status, 503);
        assert.equal(answer.headers['connection'], 'close');
        assert.deepEqual(json(answer.body), {
          error: 'service_unavailable',
          error_description: 'The metadata service does not answer',
        });
        assert.equal(audited().at(-1)?.['verdict'], 'failed');
      });
    }

    it('when no monitor can confirm the caller', async () => {
      await start({ MSI_PROXY_HOLD_MS: '50' });
      const answer = await get(INSTANCE);
      assert.equal(answer.status, 503);
      assert.equal(answer.headers['connection'], 'close');
      assert.deepEqual(json(answer.body), { error: 'Try again: no monitor is connected to the proxy' });
      assert.equal(imds.bytesReceived, 0);
    });
  });

  describe('knows who asks', () => {
    it('by asking the monitor about an entry that is not fresh', async () => {
      await start({ MSI_PROXY_CONFIRM_AFTER_MS: '0' });
      const monitor = await running.join(CLIENT);
      monitor.confirm = () => ({ kind: 'caller', caller: OTHER });
      assert.equal((await get(TOKEN_REQUEST)).status, 400);
      assert.equal(imds.bytesReceived, 0);
    });

    it('also when the container is named only after it has asked', async () => {
      await start({ MSI_PROXY_CALLER_WAIT_MS: '5000' });
      const monitor = await running.join();
      const asking = get(TOKEN_REQUEST);
      await until(() => monitor.messages('confirm').length === 1);
      await monitor.delta([], [CLIENT]);
      assert.equal((await asking).status, 200);
    });

    it('after it has waited for a monitor', async () => {
      await start({ MSI_PROXY_HOLD_MS: '4000' });
      const asking = get(TOKEN_REQUEST);
      await running.join(CLIENT);
      assert.equal((await asking).status, 200);
    });

    it('and gives an answer to nobody else when the address changes hands meanwhile', async () => {
      await start();
      const monitor = await running.join(CLIENT);
      imds.respond = () => undefined;
      const asking = get(TOKEN_REQUEST);
      await until(() => imds.requests.length === 1);
      await monitor.delta([CLIENT_ADDRESS], [OTHER]);
      imds.requests[0]!.socket.write(answerText(tokenText()));
      assert.equal((await asking).text, '');
      await until(() => audited().some(({ reason }) => reason === 'caller-gone'));
    });

    it('and asks it again when what it may have changes meanwhile', async () => {
      await start();
      const monitor = await running.join(CLIENT);
      imds.respond = () => undefined;
      const asking = get(TOKEN_REQUEST);
      await until(() => imds.requests.length === 1);
      const grant = grantOf({ resources: [{ kind: 'exact', resource: 'https://storage.azure.com' }] });
      await monitor.delta([], [callerAt(CLIENT_ADDRESS, { grant })]);
      imds.requests[0]!.socket.write(answerText(tokenText()));
      const answer = await asking;
      assert.equal(answer.status, 503);
      assert.doesNotMatch(answer.body, /access_token/);
      await until(() => audited().some(({ reason }) => reason === 'policy-changed'));
    });

    it('and gets a token for the others when the client that asked first leaves', async () => {
      await start();
      await running.join(CLIENT, callerAt('127.0.0.3'));
      imds.respond = () => undefined;
      const client = open({ port: running.port });
      client.write(requestText(TOKEN_REQUEST));
      await until(() => imds.requests.length === 1);
      client.destroy();
      await settle();
      imds.requests[0]!.socket.write(answerText(tokenText()));
      await until(() => audited().some(({ reason }) => reason === 'client-left'));
      assert.equal((await get(TOKEN_REQUEST, { from: '127.0.0.3' })).status, 200);
      assert.equal(imds.requests.length, 1);
    });

    it('and cancels what only a client that leaves has asked', async () => {
      await start();
      await running.join(CLIENT);
      imds.respond = () => undefined;
      const client = open({ port: running.port });
      client.write(requestText('/metadata/identity/info?api-version=2018-02-01'));
      await until(() => imds.requests.length === 1);
      client.destroy();
      await until(() => imds.openSockets === 0);
      await until(() => audited().some(({ reason }) => reason === 'client-left'));
    });
  });

  describe('says whether it is ready', () => {
    function ready(from?: string) {
      return get(READY_PATH, { headers: [], ...(from !== undefined && { from }) });
    }

    it('to a client that it would serve', async () => {
      await start();
      await running.join(CLIENT);
      const answer = await ready();
      assert.equal(answer.status, 200);
      assert.deepEqual(json(answer.body), { ready: true });
      assert.equal(answer.headers[INSTANCE_HEADER.toLowerCase()], running.proxy.instanceId);
    });

    it('with a reason to all others', async () => {
      await start();
      const refused = callerAt('127.0.0.3', { grant: { kind: 'refused', reason: 'label x is wrong' } });
      await running.join(refused, callerAt('127.0.0.5', { grant: UNLABELLED }));
      const reasons: [from: string, reason: RegExp][] = [
        ['127.0.0.3', /label x is wrong/],
        ['127.0.0.4', /not known yet/],
        ['127.0.0.5', /no label MSIClientContainer/],
      ];
      for (const [from, reason] of reasons) {
        const answer = await ready(from);
        assert.equal(answer.status, 503);
        assert.match(answer.body, reason);
        assert.equal(answer.headers[INSTANCE_HEADER.toLowerCase()], running.proxy.instanceId);
      }
    });

    it('without holding the question while there is no monitor', async () => {
      await start({ MSI_PROXY_HOLD_MS: '60000' });
      const answer = await ready();
      assert.equal(answer.status, 503);
      assert.match(answer.body, /no monitor/);
    });

    it('to its own health check, which it passes also without a monitor', async () => {
      await start();
      const answer = await ready('127.0.0.1');
      assert.equal(answer.status, 200);
      assert.deepEqual(json(answer.body), {
        healthy: true,
        route: 'off',
        monitor: 'none',
        callers: 0,
        imds: 'unknown',
        policy: 'enforce',
      });
    });
  });

  describe('ends', () => {
    it('after the requests under way, whose connections it closes, and takes no more', async () => {
      await start();
      await running.join(CLIENT);
      imds.respond = () => undefined;
      const asking = sendRaw(
        { port: running.port },
        requestText(TOKEN_REQUEST).replace('close', 'keep-alive'),
      );
      await until(() => imds.requests.length === 1);
      const stopping = running.proxy.stop();
      assert.equal((await get(TOKEN, { headers: [] })).text, '', 'a new connection was taken');
      imds.requests[0]!.socket.write(answerText(tokenText()));
      const answer = await asking;
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['connection'], 'close');
      await stopping;
    });

    it('only when clients are sent elsewhere, serving those that still come', async () => {
      await start();
      const monitor = await running.join(CLIENT);
      monitor.send({ type: 'role', role: 'serving' });
      await until(() => running.log.some(({ msg }) => msg === 'This proxy serves'));
      const stopping = running.proxy.stop();
      await until(() => monitor.messages('report').some(({ draining }) => draining));
      assert.equal((await get(VERSIONS)).status, 200);
      monitor.send({ type: 'role', role: 'standby' });
      await stopping;
      assert.equal((await get(VERSIONS)).text, '');
    });

    it('also when a request takes longer than it may', async () => {
      await start({ MSI_PROXY_DRAIN_MS: '50' });
      await running.join(CLIENT);
      imds.respond = () => undefined;
      const asking = get(TOKEN_REQUEST);
      await until(() => imds.requests.length === 1);
      await running.proxy.stop();
      assert.equal((await asking).text, '');
      await until(() => imds.openSockets === 0);
    });

    it('without holding requests that wait for a monitor', async () => {
      await start({ MSI_PROXY_HOLD_MS: '60000', MSI_PROXY_DRAIN_MS: '60000' });
      const client = open({ port: running.port });
      client.write(requestText(TOKEN_REQUEST));
      const answer = readAll(client);
      await until(() => client.bytesWritten > 0);
      await get(TOKEN, { headers: [] });
      await running.proxy.stop();
      assert.equal((await answer).status, 503);
    });

    it('connections with their next answer when it stands by', async () => {
      await start();
      const monitor = await running.join(CLIENT);
      const keepAlive = requestText(VERSIONS).replace('Connection: close', 'Connection: keep-alive');
      monitor.send({ type: 'role', role: 'standby' });
      await until(() => running.log.some(({ msg }) => msg === 'This proxy stands by'));
      const answer = await sendRaw({ port: running.port }, keepAlive);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['connection'], 'close');
    });

    it('twice as well as once', async () => {
      await start();
      await Promise.all([running.proxy.stop(), running.proxy.stop()]);
    });
  });

  it('frees its port when it cannot start', async () => {
    await start();
    const error: unknown = await startProxy({
      imdsPort: imds.port,
      environment: { MSI_PROXY_LISTEN: `127.0.0.1:${running.port}` },
    }).catch((thrown: unknown) => thrown);
    assert.equal((error as { code?: string }).code, 'MSI_LISTEN_FAILED');
    await running.proxy.stop();
    const broken: unknown = await startProxy({
      imdsPort: imds.port,
      environment: {
        MSI_PROXY_LISTEN: `127.0.0.1:${running.port}`,
        MSI_PROXY_CONTROL_SOCKET: '/dev/null/control.sock',
      },
    }).catch((thrown: unknown) => thrown);
    assert.ok(broken instanceof Error);
    const again = await startProxy({
      imdsPort: imds.port,
      environment: { MSI_PROXY_LISTEN: `127.0.0.1:${running.port}` },
    });
    await again.stop();
  });

  it('never writes a token, and one line per decision', async () => {
    await start();
    await running.join(CLIENT);
    imds.respond = ({ socket }) =>
      socket.write(answerText(tokenText({ access_token: 'opaque-secret-token' })));
    await get(`${TOKEN_REQUEST}&claims=hidden`);
    await until(() => audited().length === 1);
    const [line] = audited();
    assert.equal(line?.['container'], 'client');
    assert.equal(line['containerId'], 'c'.repeat(12));
    assert.equal(line['group'], 'token');
    assert.equal(line['resource'], 'https://vault.azure.net/');
    assert.equal(line['verdict'], 'allowed');
    assert.equal(line['status'], 200);
    assert.equal(line['via'], 'upstream');
    assert.doesNotMatch(JSON.stringify(running.log), /opaque-secret-token|hidden/);
  });
});
