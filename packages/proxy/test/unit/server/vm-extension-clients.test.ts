import assert from 'node:assert/strict';
import {
  createEmulator,
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
  type Emulator,
} from '@msi-proxy/imds-emulator';
import type { ClientPolicy } from '@msi-proxy/shared';
import { callerAt, grantOf, UNLABELLED } from '../support/callers.ts';
import { ask, CLIENT_ADDRESS, open, readAll, sendAndLeave, sendRaw } from '../support/raw-client.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';
import { until } from '../support/until.ts';

const RESOURCE = 'resource=https%3A%2F%2Fvault.azure.net';
const IMDS_TARGET = `/metadata/identity/oauth2/token?api-version=2018-02-01&${RESOURCE}`;
const FORM_HEADERS = ['Metadata: true', 'Content-Type: application/x-www-form-urlencoded'];
const { clientId, resourceId } = DEFAULT_APP_IDENTITY;

/**
 * What `requests.post(url, data=payload, headers={'Metadata': 'true'})` sends, as `msrestazure`'s `get_msi_token` calls
 * it; captured from requests 2.34.2, which sends head and body by themselves.
 */
function pythonForm(body: string): readonly [head: string, body: string] {
  const lines = [
    'POST /oauth2/token HTTP/1.1',
    'Host: 169.254.169.254',
    'User-Agent: python-requests/2.34.2',
    'Accept-Encoding: gzip, deflate',
    'Accept: */*',
    'Connection: keep-alive',
    'Metadata: true',
    `Content-Length: ${body.length}`,
    'Content-Type: application/x-www-form-urlencoded',
  ];
  return [[...lines, '', ''].join('\r\n'), body];
}

const withoutCountdowns = (body: string) => body.replace(/"(ext_)?expires_in":"\d+"/g, '');

describe("clients of the VM extension's protocol", () => {
  let emulator: Emulator;
  let running: ProxyUnderTest;

  beforeEach(async () => {
    emulator = createEmulator();
    const { listen } = await emulator.start({ listen: { host: '127.0.0.1', port: 0 } });
    running = await startProxy({ imdsPort: listen.port });
  });

  afterEach(async () => {
    await running.stop();
    await emulator.stop();
  });

  function join(policy: Partial<ClientPolicy> = {}) {
    return running.join(callerAt(CLIENT_ADDRESS, { grant: grantOf(policy) }));
  }

  function post(body: string) {
    return ask('/oauth2/token', { port: running.port, method: 'POST', headers: FORM_HEADERS, body });
  }

  for (const [variant, body, expected] of [
    ['the system-assigned identity', RESOURCE, undefined],
    ['an identity by client id', `${RESOURCE}&client_id=${clientId}`, clientId],
    ['an identity by object id', `${RESOURCE}&object_id=${DEFAULT_APP_IDENTITY.objectId}`, clientId],
    ['an identity by resource id', `${RESOURCE}&msi_res_id=${encodeURIComponent(resourceId)}`, clientId],
  ] as const) {
    it(`get a token of ${variant}, as requests sends the form`, async () => {
      await join();
      const [head, form] = pythonForm(body);
      const socket = open({ port: running.port });
      socket.write(head);
      await new Promise(resolve => {
        setImmediate(resolve);
      });
      socket.write(form);
      socket.once('data', () => socket.end());
      const answer = await readAll(socket);
      assert.equal(answer.status, 200, answer.text);
      const token = JSON.parse(answer.body) as Record<string, string>;
      assert.equal(token['token_type'], 'Bearer');
      assert.ok(Object.values(token).every(value => typeof value === 'string'));
      if (expected !== undefined) assert.equal(token['client_id'], expected);
      assert.equal(emulator.requests.length, 1);
      assert.equal(emulator.requests[0]?.method, 'GET');
    });
  }

  it('share the tokens of those who ask as IMDS is asked', async () => {
    await join();
    const bodies = [
      (await ask(IMDS_TARGET, { port: running.port })).body,
      (await ask(`/oauth2/token?${RESOURCE}`, { port: running.port })).body,
      (await post(RESOURCE)).body,
    ].map(withoutCountdowns);
    assert.deepEqual(new Set(bodies).size, 1);
    assert.equal(emulator.requests.length, 1);
    const asked = new URL(emulator.requests[0]!.target, 'http://imds');
    assert.equal(asked.pathname, '/metadata/identity/oauth2/token');
    assert.deepEqual(Object.fromEntries(asked.searchParams), {
      'api-version': '2018-02-01',
      resource: 'https://vault.azure.net',
    });
  });

  it('keep their connection, on which the next request is read after the form', async () => {
    await join();
    const [head, form] = pythonForm(RESOURCE);
    const next = `GET /oauth2/token?${RESOURCE} HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nConnection: close\r\n\r\n`;
    const { text } = await sendRaw({ port: running.port }, head + form + next);
    assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 2, text);
  });

  it('are held to the policy of their container', async () => {
    const data = { kind: 'client-id', id: DEFAULT_DATA_IDENTITY.clientId } as const;
    await join({ defaultIdentity: data, identities: [data] });
    const granted = await post(RESOURCE);
    assert.equal((JSON.parse(granted.body) as { client_id: string }).client_id, data.id);
    for (const parameter of [
      `client_id=${clientId}`,
      `Client_Id=${clientId}`,
      `msi_res_id=${encodeURIComponent(resourceId)}`,
      `object_id=${DEFAULT_APP_IDENTITY.objectId}`,
      `client_id=${data.id}&object_id=${DEFAULT_APP_IDENTITY.objectId}`,
    ]) {
      const expected = (await ask(`${IMDS_TARGET}&${parameter}`, { port: running.port })).body;
      const query = await ask(`/oauth2/token?${RESOURCE}&${parameter}`, { port: running.port });
      const form = await post(`${RESOURCE}&${parameter}`);
      assert.match(expected, /^\{"error":"(access_denied|invalid_request)","error_description":/);
      assert.deepEqual([query.body, form.body], [expected, expected], parameter);
    }
    assert.equal(emulator.requests.length, 1);
  });

  it('find no identity in a container without the label', async () => {
    await running.join(callerAt(CLIENT_ADDRESS, { grant: UNLABELLED }));
    const { status, body } = await post(RESOURCE);
    assert.deepEqual(
      [status, body],
      [400, '{"error":"invalid_request","error_description":"Identity not found"}'],
    );
  });

  it('are told at once that Metadata is missing, and the form is not waited for', async () => {
    const [head] = pythonForm(RESOURCE);
    const answer = await sendRaw({ port: running.port }, head.replace('Metadata: true\r\n', ''));
    assert.equal(answer.status, 400);
    assert.equal(
      answer.body,
      '{"error":"bad_request_102","error_description":"Required metadata header not specified"}',
    );
    assert.equal(answer.headers['connection'], 'close');
  });

  it('get 400 for a form that is not canonical, and nothing is asked', async () => {
    await join();
    for (const body of ['resource=a&resource=b', 'resource=a+b', 'api-version=2018-02-01&resource=a']) {
      const { status, body: text } = await post(body);
      assert.equal(status, 400);
      assert.match(text, /^\{"error":"invalid_request","error_description":/);
    }
    assert.deepEqual(emulator.requests, []);
    await until(() => running.log.some(({ reason }) => reason === 'query-not-canonical'));
  });

  it('are not answered when they leave in the middle of a form', async () => {
    await join();
    const [head, form] = pythonForm(RESOURCE);
    const socket = open({ port: running.port });
    socket.end(head + form.slice(0, 10));
    await readAll(socket);
    assert.deepEqual(emulator.requests, []);
    assert.equal((await sendAndLeave({ port: running.port }, head + form)).status, 200);
  });

  it('may post nowhere else', async () => {
    await join();
    for (const target of ['/metadata/identity/oauth2/token', '/metadata/instance', IMDS_TARGET]) {
      const options = { port: running.port, method: 'POST', headers: FORM_HEADERS, body: RESOURCE };
      assert.equal((await ask(target, options)).status, 405);
    }
  });
});
