import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { INSTANCE_HEADER, READY_PATH } from '@msi-proxy/shared';
import { parseProbeOutcome, probe, readAnswerHead, type ProbeOutcome } from '../../../src/wiring/probe.ts';

describe('probe', () => {
  let server: Server | undefined;

  async function probeServer(listener: RequestListener, timeoutMillis?: number): Promise<ProbeOutcome> {
    server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return await probe({ address: '127.0.0.1', port, ...(timeoutMillis !== undefined && { timeoutMillis }) });
  }

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  });

  it('names the proxy that answered, also one that is not ready', async () => {
    const outcome = await probeServer((_, response) => {
      response.writeHead(503, { [INSTANCE_HEADER]: 'instance-1' }).end();
    });

    assert.deepEqual(outcome, { status: 503, instanceId: 'instance-1' });
  });

  it('names nobody when IMDS answered', async () => {
    const outcome = await probeServer((_, response) => response.writeHead(400).end('{}'));

    assert.deepEqual(outcome, { status: 400, instanceId: '' });
  });

  it('asks for the ready path, without the header that IMDS wants', async () => {
    let seen: IncomingMessage | undefined;
    await probeServer((request, response) => {
      seen = request;
      response.end();
    });

    assert.equal(seen?.url, READY_PATH);
    assert.equal(seen.headers['metadata'], undefined);
  });

  it('ends when nobody answers in time', async () => {
    const outcome = await probeServer(() => undefined, 20);

    assert.deepEqual(outcome, { failure: 'no answer within 20 ms' });
  });

  it('does not wait for the end of an answer', async () => {
    const outcome = await probeServer((_, response) => response.write('a part'));

    assert.deepEqual(outcome, { status: 200, instanceId: '' });
  });

  it('tells that nobody listens', async () => {
    const { port } = await probeServer((_, response) => response.end()).then(
      () => server!.address() as AddressInfo,
    );
    server!.close();
    await once(server!, 'close');

    assert.deepEqual(await probe({ address: '127.0.0.1', port }), { failure: 'ECONNREFUSED' });
  });
});

describe('readAnswerHead', () => {
  it('reads what wget prints, indented and after other lines', () => {
    assert.deepEqual(readAnswerHead(`Connecting\n  HTTP/1.1 200 OK\n  ${INSTANCE_HEADER}: one\n`), {
      status: 200,
      instanceId: 'one',
    });
  });

  it('has no outcome where there is no head', () => {
    assert.equal(readAnswerHead('{"status":"HTTP/1.1 200"}'), undefined);
  });

  it('is not kept busy by a container that answers with megabytes of blank lines', () => {
    const blanks = ' \n'.repeat(8 * 1024 * 1024);

    assert.deepEqual(readAnswerHead(`HTTP/1.1 200 OK\n${blanks}${INSTANCE_HEADER}: one\n`), {
      status: 200,
      instanceId: '',
    });
    assert.equal(readAnswerHead(blanks), undefined);
  });
});

describe('parseProbeOutcome', () => {
  for (const outcome of [{ status: 200, instanceId: 'a' }, { failure: 'ECONNREFUSED' }]) {
    it(`reads ${JSON.stringify(outcome)}`, () => {
      assert.deepEqual(parseProbeOutcome(`${JSON.stringify(outcome)}\n`), outcome);
    });
  }

  for (const text of ['', 'Segmentation fault', 'null', '[]', '{"status":"200","instanceId":"a"}', '{}']) {
    it(`has no outcome for ${JSON.stringify(text)}`, () => {
      assert.equal(parseProbeOutcome(text), undefined);
    });
  }
});
