import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import {
  READY_PATH,
  silentLogger,
  TOKEN_PATH,
  VM_EXTENSION_PATH,
  WITNESS_HEADER,
  WitnessQuestion,
} from '@msi-proxy/shared';
import {
  ask,
  FakeClock,
  open,
  readAll,
  requestText,
  sendRaw,
  until,
  type RawAnswer,
} from '@msi-proxy/shared/testing';
import type { StandInOutcome } from '@msi-proxy/shared/metrics';
import type { LentSource } from '../../../src/guard/vm-rules.ts';
import { StandIn } from '../../../src/stand-in/stand-in.ts';
import { Witness } from '../../../src/stand-in/witness.ts';
import type { ProxyEndpoint } from '../../../src/wiring/proxy-endpoint.ts';

const TOKEN = `${TOKEN_PATH}?api-version=2018-02-01&resource=https://vault.azure.net`;
const FORM = 'resource=https%3A%2F%2Fvault.azure.net';
const FORM_TYPE = 'Content-Type: application/x-www-form-urlencoded';
const A = '127.0.0.2';
const B = '127.0.0.3';

/** Who has {@link A}, for certain. */
const RUN = { containerId: 'c'.repeat(64), startedAt: '2026-01-01T00:00:00Z' };

describe('the stand-in', () => {
  const witness = new Witness({
    unchanged: address =>
      address === A ? { address, ...RUN, name: 'orders', grant: { kind: 'unlabelled' } } : undefined,
  });
  let clock: FakeClock;
  let standIn: StandIn;
  let endpoint: ProxyEndpoint;
  let proxy: Server;
  let serving: ProxyEndpoint;
  let asked: IncomingMessage[];
  let ports: (number | undefined)[];
  let respond: (request: IncomingMessage, response: ServerResponse) => void;
  let lent: LentSource[];
  let lendProblem: Error | undefined;
  let beforeConnect: () => Promise<void>;
  let clients: Socket[];
  let outcomes: StandInOutcome[];

  beforeEach(async () => {
    clock = new FakeClock();
    asked = [];
    ports = [];
    lent = [];
    lendProblem = undefined;
    beforeConnect = () => Promise.resolve();
    clients = [];
    outcomes = [];
    respond = (_, response) => {
      response.writeHead(200, { 'X-From': 'proxy', 'Content-Length': 25, Connection: 'keep-alive' });
      response.end('{"access_token":"secret"}');
    };
    proxy = createServer((request, response) => {
      asked.push(request);
      ports.push(request.socket.remotePort);
      respond(request, response);
    });
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
    serving = { address: '127.0.0.1', port: (proxy.address() as AddressInfo).port };
    standIn = new StandIn({
      port: 0,
      clock,
      logger: silentLogger,
      onRequestOver: outcome => outcomes.push(outcome),
      witness,
      lendSources: async (sources, connect) => {
        if (lendProblem !== undefined) throw lendProblem;
        await beforeConnect();
        lent.push(...sources.map(({ port, address }) => ({ port, address })));
        await connect();
      },
    });
    endpoint = await standIn.listen('127.0.0.1');
  });

  afterEach(async () => {
    for (const client of clients) client.destroy();
    await standIn.stop();
    proxy.closeAllConnections();
    await new Promise(resolve => proxy.close(resolve));
    await until(() => clock.pendingTimers === 0);
  });

  /** Asks, and waits until the request is held. */
  async function hold(
    from = A,
    text = requestText(TOKEN),
  ): Promise<{ answer: Promise<RawAnswer>; client: Socket }> {
    const timers = clock.pendingTimers;
    const client = open({ port: endpoint.port, from });
    clients.push(client);
    client.write(text);
    const answer = readAll(client);
    await until(() => clock.pendingTimers > timers);
    return { answer, client };
  }

  for (const [path, expected, body] of [
    [
      TOKEN_PATH,
      400,
      /^\{"error":"invalid_request","error_description":"Required metadata header not specified"\}$/,
    ],
    [
      '/metadata/identity/getplatformmetadata',
      404,
      /^\{"error":"not_found","error_description":"Not found"\}$/,
    ],
    ['/metadata/instance', 400, /^\{"error":"Bad request: \. Required metadata header not specified"\}$/],
  ] as const) {
    it(`answers a probe of ${path} at once, as IMDS does`, async () => {
      const { status, headers, body: text } = await ask(path, { port: endpoint.port, headers: [] });

      assert.equal(status, expected);
      assert.match(text, body);
      assert.equal(headers['connection'], 'close');
      assert.match(headers['server'] ?? '', /IMDS/);
    });
  }

  it('says that nothing is ready', async () => {
    const { status, body } = await ask(READY_PATH, { port: endpoint.port, headers: [] });

    assert.equal(status, 503);
    assert.match(body, /no proxy serves/);
  });

  it('holds a request until a proxy serves, and gives its answer', async () => {
    const { answer } = await hold();

    standIn.setProxy(serving);

    const { status, headers, body } = await answer;
    assert.equal(status, 200);
    assert.equal(body, '{"access_token":"secret"}');
    assert.equal(headers['x-from'], 'proxy');
    assert.equal(headers['connection'], 'close', 'the next request has to find the way to the proxy');
    assert.equal(asked[0]?.url, TOKEN);
  });

  it('asks in the name of the container', async () => {
    const first = await hold(A);
    const second = await hold(B);

    standIn.setProxy(serving);
    await Promise.all([first.answer, second.answer]);

    assert.deepEqual(
      lent.map(({ address }) => address),
      [A, B],
    );
    assert.deepEqual(ports.sort(), lent.map(({ port }) => port).sort());
  });

  it('passes on what the proxy has to judge, byte for byte, and nothing that concerns the connection', async () => {
    const headers = [
      'metadata: TRUE',
      'X-Forwarded-For: 10.0.0.1',
      'x-ms-Client: "a"',
      'Keep-Alive: timeout=9',
    ];
    const target = '/metadata/identity\\oauth2/../token?a=%2e&A=1';
    const { answer } = await hold(A, requestText(target, { headers }));

    standIn.setProxy(serving);
    await answer;

    assert.equal(asked[0]?.url, target);
    assert.deepEqual(asked[0].rawHeaders, [
      'Host',
      '169.254.169.254',
      'metadata',
      'TRUE',
      'X-Forwarded-For',
      '10.0.0.1',
      'x-ms-Client',
      '"a"',
      'Connection',
      'close',
    ]);
  });

  it('passes a request on at once that comes while a proxy serves already', async () => {
    standIn.setProxy(serving);

    const { status } = await ask(TOKEN, { port: endpoint.port });

    assert.equal(status, 200);
  });

  it('holds again when the proxy has gone', async () => {
    standIn.setProxy(serving);
    standIn.setProxy(undefined);

    const { answer } = await hold();
    standIn.setProxy(serving);

    assert.equal((await answer).status, 200);
  });

  it('tells a client that has waited for 30 s to try again', async () => {
    const { answer } = await hold();

    await clock.advance(29_999);
    assert.equal(asked.length, 0);
    await clock.advance(1);

    const { status, headers, body } = await answer;
    assert.equal(status, 503);
    assert.equal(headers['connection'], 'close');
    assert.match(body, /^\{"error":"service_unavailable","error_description":"Try again/);
  });

  it('does not end a request that is being answered when its time to wait is over', async () => {
    const answering = Promise.withResolvers<ServerResponse>();
    respond = (_, response) => answering.resolve(response);
    const { answer } = await hold();
    standIn.setProxy(serving);
    const response = await answering.promise;

    await clock.advance(30_000);
    response.end('late');

    assert.equal((await answer).body, 'late');
  });

  it('tells who waits for 36 s in all to try again, before SDKs give up', async () => {
    const arrived = Promise.withResolvers<undefined>();
    respond = () => arrived.resolve(undefined);
    const { answer } = await hold();
    await clock.advance(20_000);
    standIn.setProxy(serving);
    await arrived.promise;

    await clock.advance(15_999);
    assert.deepEqual(outcomes, []);
    await clock.advance(1);

    assert.equal((await answer).status, 503);
  });

  it('tells how each request ended, and of none that was only a probe', async () => {
    await ask(TOKEN_PATH, { port: endpoint.port, headers: [] });
    const { client } = await hold(A);
    assert.equal(standIn.heldRequests, 1);
    client.destroy();
    await until(() => outcomes.length === 1);
    const inVain = await hold(A);
    await clock.advance(30_000);
    await inVain.answer;
    const served = await hold(B);
    standIn.setProxy(serving);
    await served.answer;

    await until(() => outcomes.length === 3);
    assert.deepEqual(outcomes, ['client-left', 'given-up', 'passed-on']);
    assert.equal(standIn.heldRequests, 0);
  });

  it('keeps no request of a client that has left', async () => {
    const { client } = await hold();

    client.destroy();
    await until(() => clock.pendingTimers === 0);
    standIn.setProxy(serving);
    await ask(TOKEN, { port: endpoint.port });

    assert.equal(asked.length, 1);
  });

  it('asks the proxy nothing for a client that leaves while the connection is made', async () => {
    const first = await hold(A);
    const other = await hold(B);
    beforeConnect = async () => {
      first.client.destroy();
      await until(() => standIn.underWay === 1);
    };

    standIn.setProxy(serving);

    assert.equal((await other.answer).status, 200);
    await until(() => standIn.underWay === 0);
    assert.equal(asked.length, 1);
  });

  it('ends the request to the proxy when the client leaves', async () => {
    const answering = Promise.withResolvers<ServerResponse>();
    respond = (_, response) => answering.resolve(response);
    const { client } = await hold();
    standIn.setProxy(serving);
    const response = await answering.promise;
    const ended = new Promise(resolve => response.once('close', resolve));

    client.destroy();

    await ended;
  });

  for (const [what, text] of Object.entries({
    'a body': requestText('/metadata/scheduledevents', {
      method: 'POST',
      headers: ['Metadata: true'],
      body: '{}',
    }),
    'a chunked body':
      requestText(TOKEN, { headers: ['Metadata: true', 'Transfer-Encoding: chunked'] }) + '0\r\n\r\n',
    'another method': requestText(TOKEN, { method: 'DELETE' }),
    'a form that is longer than any of the protocol': formText('a'.repeat(4_097)),
    'a form of no length': formText('', ['Content-Length: 0']),
    'a form that is chunked': formText('', ['Transfer-Encoding: chunked']) + '0\r\n\r\n',
    'a form that waits to be told to go on': formText(FORM, ['Expect: 100-continue']),
    'a form at another path': requestText(`${VM_EXTENSION_PATH}s`, {
      method: 'POST',
      headers: ['Metadata: true', FORM_TYPE],
      body: FORM,
    }),
  })) {
    it(`does not hold a request with ${what}`, async () => {
      const { status, headers } = await sendRaw({ port: endpoint.port }, text);

      assert.equal(status, 503);
      assert.equal(headers['connection'], 'close');
    });
  }

  it('refuses a target that no canonical request has', async () => {
    const { status } = await sendRaw({ port: endpoint.port }, requestText('/metadata/\xe9'));

    assert.equal(status, 400);
  });

  it('holds a form of the older protocol, and passes it on with its body', async () => {
    let body = '';
    respond = (request, response) => {
      request.setEncoding('latin1').on('data', (text: string) => (body += text));
      request.once('end', () => response.end('{"access_token":"secret"}'));
    };
    const { answer } = await hold(A, formText(FORM));

    standIn.setProxy(serving);

    assert.equal((await answer).status, 200);
    assert.equal(body, FORM);
    const { method, url, headers } = asked[0]!;
    assert.deepEqual(
      [method, url, headers['content-length']],
      ['POST', VM_EXTENSION_PATH, String(FORM.length)],
    );
    assert.deepEqual(
      lent.map(({ address }) => address),
      [A],
    );
  });

  it('holds a form as soon as all of it is there', async () => {
    const client = open({ port: endpoint.port, from: A });
    clients.push(client);
    const answer = readAll(client);
    client.write(formText(FORM).slice(0, -1));
    await until(() => standIn.underWay === 1);
    standIn.setProxy(serving);
    const lentBefore = lent.length;

    client.write(FORM.at(-1)!);

    assert.equal((await answer).status, 200);
    assert.equal(lentBefore, 0, 'a form that was not whole was passed on');
  });

  it('counts forms of which the end has not come, and forgets them when their client leaves', async () => {
    for (let count = 1; count <= 16; count += 1) {
      const client = open({ port: endpoint.port, from: A });
      clients.push(client);
      client.write(formText(FORM).slice(0, -1));
      await until(() => standIn.underWay === count);
    }

    assert.equal((await ask(TOKEN, { port: endpoint.port, from: A })).status, 503);
    for (const client of clients) client.destroy();
    await until(() => standIn.underWay === 0);
    const { answer } = await hold(A);
    standIn.setProxy(serving);
    assert.equal((await answer).status, 200);
  });

  it('tells the client of a form to try again when it stops in the middle of it', async () => {
    const client = open({ port: endpoint.port, from: A });
    clients.push(client);
    const answer = readAll(client);
    client.write(formText(FORM).slice(0, -1));
    await until(() => standIn.underWay === 1);

    const stopped = standIn.stop();

    assert.equal((await answer).status, 503);
    await stopped;
  });

  it('survives what cannot be sent on', async () => {
    const { answer } = await hold(A, requestText(TOKEN, { headers: ['Metadata: true', 'Trailer: X'] }));

    standIn.setProxy(serving);

    assert.equal((await answer).status, 503);
    assert.equal((await ask(TOKEN, { port: endpoint.port })).status, 200);
  });

  it('holds a bounded number of requests of one container, and those of others all the same', async () => {
    for (let count = 0; count < 16; count += 1) await hold(A);

    const { status } = await ask(TOKEN, { port: endpoint.port, from: A });
    const other = await hold(B);
    standIn.setProxy(serving);

    assert.equal(status, 503);
    assert.equal((await other.answer).status, 200);
  });

  it('holds a bounded number of requests', async () => {
    for (let count = 0; count < 256; count += 1) await hold(`127.0.1.${Math.floor(count / 16) + 1}`);

    const { status } = await ask(TOKEN, { port: endpoint.port, from: A });

    assert.equal(status, 503);
  });

  it('tells clients to try again when the proxy has died meanwhile', async () => {
    const { answer } = await hold();

    standIn.setProxy({ address: '127.0.0.1', port: 1 });

    assert.equal((await answer).status, 503);
  });

  it('tells clients to try again when the proxy dies before it has answered', async () => {
    respond = request => request.socket.destroy();
    const { answer } = await hold();

    standIn.setProxy(serving);

    assert.equal((await answer).status, 503);
  });

  it('breaks an answer that the proxy breaks', async () => {
    respond = (request, response) => {
      response.writeHead(200, { 'Content-Length': 100 });
      response.write('half', () => request.socket.destroy());
    };
    const { answer } = await hold();

    standIn.setProxy(serving);

    const { status, body } = await answer;
    assert.equal(status, 200);
    assert.equal(body, 'half', 'not completed, and no other answer behind it');
  });

  it('tells clients to try again when the rules fail', async () => {
    lendProblem = new Error('nft is gone');
    const { answer } = await hold();

    standIn.setProxy(serving);

    assert.equal((await answer).status, 503);
  });

  it('tells those who wait to try again when it stops', async () => {
    const { answer } = await hold();

    await standIn.stop();

    assert.equal((await answer).status, 503);
    await standIn.stop();
  });

  it('listens once, however often it is told to, and elsewhere when the address changes', async () => {
    const [again, same] = await Promise.all([standIn.listen('127.0.0.1'), standIn.listen('127.0.0.1')]);
    assert.deepEqual([again, same], [endpoint, endpoint]);

    const moved = await standIn.listen(B);

    assert.equal(moved.address, B);
    const refused = await sendRaw({ port: endpoint.port }, requestText(TOKEN));
    assert.equal(refused.text, '');
  });

  it('tells a proxy whether an address has changed hands, and nobody else', async () => {
    const question = WitnessQuestion.ask(standIn.witnessKey, A);
    const header = (value: string) =>
      `GET ${question.target} HTTP/1.1\r\nHost: x\r\n${WITNESS_HEADER}: ${value}\r\n\r\n`;

    const told = await sendRaw({ port: endpoint.port }, header(question.header));
    const refused = await sendRaw({ port: endpoint.port }, header('0'.repeat(97)));

    assert.deepEqual(question.readAnswer(JSON.parse(told.text.split('\r\n\r\n')[1]!)), RUN);
    assert.doesNotMatch(refused.text, new RegExp(RUN.containerId));
    assert.deepEqual(outcomes, [], 'neither is a request that waits for a proxy');
  });

  it('tries again to listen after it could not', async () => {
    const taken = new StandIn({
      port: endpoint.port,
      clock,
      logger: silentLogger,
      lendSources: () => Promise.resolve(),
      witness,
    });
    await assert.rejects(taken.listen('127.0.0.1'), { code: 'MSI_LISTEN_FAILED' });
    await standIn.stop();

    assert.deepEqual(await taken.listen('127.0.0.1'), endpoint);
    await taken.stop();
  });
});

function formText(body: string, headers: readonly string[] = []): string {
  return requestText(VM_EXTENSION_PATH, {
    method: 'POST',
    headers: ['Metadata: true', FORM_TYPE, ...headers],
    body,
  });
}
