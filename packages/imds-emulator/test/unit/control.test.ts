import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { HostPort } from '@msi-proxy/shared';
import { settle } from '@msi-proxy/shared/testing';
import { DEFAULT_APP_IDENTITY, DEFAULT_VM } from '../../src/index.ts';
import { request, sendRaw } from './support/raw-http.ts';
import { withEmulator } from './support/with-emulator.ts';

const VERSIONS = '/metadata/versions';

async function control(address: HostPort, method: string, path: string, document?: unknown) {
  const response = await fetch(`http://${address.host}:${address.port}${path}`, {
    method,
    ...(document !== undefined && { body: JSON.stringify(document) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('the control API', () => {
  it('shows requests as they came in', async () => {
    await withEmulator({}, async ({ address, control: controlAddress }) => {
      const target = '/metadata\\versions?x=%2F&x=1';
      await request(address, target, { headers: ['METADATA: True', 'x-a: 1', 'X-A: 2'] });
      const { body } = await control(controlAddress, 'GET', '/requests');
      const [recorded] = body as unknown as Record<string, unknown>[];
      assert.equal(recorded?.['method'], 'GET');
      assert.equal(recorded['target'], target);
      assert.deepEqual(recorded['rawHeaders'], [
        ...['Host', '169.254.169.254', 'Connection', 'close'],
        ...['METADATA', 'True', 'x-a', '1', 'X-A', '2'],
      ]);
      assert.equal(recorded['sourceAddress'], '127.0.0.1');
      assert.equal(recorded['status'], 400);
      assert.match(String(recorded['at']), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    });
  });

  it('forgets requests when asked to', async () => {
    await withEmulator({}, async ({ address, control: controlAddress, emulator }) => {
      await request(address, VERSIONS);
      assert.equal(emulator.requests.length, 1);
      assert.deepEqual((await control(controlAddress, 'DELETE', '/requests')).body, []);
      assert.equal(emulator.requests.length, 0);
    });
  });

  it('keeps the last 1000 requests', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      const one = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
      const many = Array.from({ length: 1_004 }, (_, index) => one(`/${index}`)).join('');
      await sendRaw(address, `${many}GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      assert.equal(emulator.requests.length, 1_000);
      assert.equal(emulator.requests[0]?.target, '/5');
      assert.equal(emulator.requests.at(-1)?.target, '/last');
      assert.equal(emulator.stats.requests, 1_005);
    });
  });

  it('counts every byte that arrives, also those that make no request', async () => {
    await withEmulator({}, async ({ address, control: controlAddress }) => {
      const whole = `GET ${VERSIONS} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
      await sendRaw(address, whole);
      await sendRaw(address, 'NONSENSE\r\n\r\n');
      const { body } = await control(controlAddress, 'GET', '/stats');
      assert.equal(body['bytesReceived'], whole.length + 'NONSENSE\r\n\r\n'.length);
      assert.equal(body['connections'], 2);
      assert.equal(body['requests'], 1);
    });
  });

  it('counts bytes of a connection that is still open', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      const socket = connect(address);
      socket.write('GET /met');
      while (emulator.stats.bytesReceived === 0) await settle();
      assert.equal(emulator.stats.bytesReceived, 8);
      assert.equal(emulator.stats.openConnections, 1);
      socket.destroy();
    });
  });

  it('sets, shows and clears faults', async () => {
    await withEmulator({}, async ({ address, control: controlAddress }) => {
      const rules = [{ category: 'versions', fault: 'status', status: 503, times: 5 }];
      assert.deepEqual((await control(controlAddress, 'PUT', '/faults', rules)).body, rules);
      assert.equal((await request(address, VERSIONS)).status, 503);
      assert.deepEqual((await control(controlAddress, 'DELETE', '/faults')).body, []);
      assert.equal((await request(address, VERSIONS)).status, 200);
    });
  });

  it('says everything that is wrong with faults, and leaves them as they are', async () => {
    await withEmulator({}, async ({ control: controlAddress, emulator }) => {
      emulator.setFaults([{ fault: 'hang' }]);
      const { status, body } = await control(controlAddress, 'PUT', '/faults', [
        { fault: 'status', status: 99, category: 'tokens' },
        { fault: 'explode' },
        { fault: 'hang', delaymillis: 3 },
        { fault: 'status' },
        7,
      ]);
      assert.equal(status, 400);
      assert.deepEqual(
        (body['problems'] as { path: string }[]).map(problem => problem.path),
        ['[0].status', '[0].category', '[1].fault', '[2].delaymillis', '[3].status', '[4]'],
      );
      assert.match(String(body['error']), /\[1\]\.fault is "explode": expected one of "delay", "status"/);
      assert.deepEqual(emulator.faults, [{ fault: 'hang' }]);
    });
  });

  it('takes no headers that no answer can have', async () => {
    await withEmulator({}, async ({ address, control: controlAddress, emulator }) => {
      const withHeaders = async (headers: Record<string, string>) =>
        await control(controlAddress, 'PUT', '/faults', [{ fault: 'status', status: 500, headers }]);

      const { status, body } = await withHeaders({
        'X Y': 'a',
        'X-Line': 'a\r\nb',
        'X-Wide': '\u{1f600}',
        'content-length': '3',
        'Transfer-Encoding': 'chunked',
        'X-Fine': 'a\tb',
      });
      assert.equal(status, 400);
      assert.deepEqual(
        (body['problems'] as { path: string }[]).map(problem => problem.path),
        ['X Y', 'X-Line', 'X-Wide', 'content-length', 'Transfer-Encoding'].map(name => `[0].headers.${name}`),
      );
      assert.match(String(body['error']), /\[0\]\.headers\.X Y is "X Y": expected the name of a header/);
      assert.deepEqual(emulator.faults, []);

      await withHeaders({ 'X-Fine': 'a\tb', Connection: 'close' });
      assert.equal((await request(address, VERSIONS)).headers['x-fine'], 'a\tb');
    });
  });

  it('replaces the VM', async () => {
    await withEmulator({}, async ({ address, control: controlAddress }) => {
      const target = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x';
      await control(controlAddress, 'PUT', '/vm', {
        systemAssignedIdentity: null,
        userAssignedIdentities: [DEFAULT_APP_IDENTITY],
      });
      const { client_id } = JSON.parse((await request(address, target)).body) as { client_id: string };
      assert.equal(client_id, DEFAULT_APP_IDENTITY.clientId);
      assert.equal((await control(controlAddress, 'GET', '/vm')).body['name'], DEFAULT_VM.name);
    });
  });

  it('switches rate limits', async () => {
    await withEmulator({}, async ({ address, control: controlAddress }) => {
      const { body } = await control(controlAddress, 'PUT', '/rate-limits', { enabled: true });
      const seen = [];
      for (let sent = 0; sent < 6; sent += 1) seen.push((await request(address, VERSIONS)).status);
      assert.deepEqual(body, { enabled: true });
      assert.equal(seen.at(-1), 429);
      assert.equal((await control(controlAddress, 'PUT', '/rate-limits', { enabled: 'on' })).status, 400);
    });
  });

  it('says what there is when asked for something else', async () => {
    await withEmulator({}, async ({ control: controlAddress }) => {
      assert.deepEqual((await control(controlAddress, 'GET', '/healthz')).body, { status: 'ok' });
      const path = await control(controlAddress, 'GET', '/constructor');
      const method = await control(controlAddress, 'POST', '/faults');
      assert.equal(path.status, 404);
      assert.match(String(path.body['error']), /\/requests, \/stats/);
      assert.equal(method.status, 405);
      assert.match(String(method.body['error']), /GET, PUT, DELETE/);
    });
  });

  it('refuses a body that is not JSON', async () => {
    await withEmulator({}, async ({ control: { host, port } }) => {
      const response = await fetch(`http://${host}:${port}/vm`, { method: 'PUT', body: '{' });
      assert.equal(response.status, 400);
    });
  });

  it('refuses a body that is too long, and says so', async () => {
    await withEmulator({}, async ({ control: { host, port } }) => {
      const body = JSON.stringify({ name: 'x'.repeat(4_000_000) });
      const response = await fetch(`http://${host}:${port}/vm`, { method: 'PUT', body });
      assert.equal(response.status, 413);
      assert.match(await response.text(), /longer than 1048576 bytes/);
    });
  });
});
