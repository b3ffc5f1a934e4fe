import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { DEFAULT_VM } from '../../src/index.ts';
import { request, sendRaw } from './support/raw-http.ts';
import { withEmulator } from './support/with-emulator.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net';
const INSTANCE = '/metadata/instance?api-version=2021-02-01';
const NO_HEADER_IDENTITY =
  '{"error":"invalid_request","error_description":"Required metadata header not specified"}';
const NO_HEADER_INSTANCE = '{"error":"Bad request: . Required metadata header not specified"}';

describe('what every request needs', () => {
  it('answers a probe without Metadata with 400 in the shape of its category', async () => {
    await withEmulator({}, async ({ address }) => {
      const probe = await request(address, '/metadata/identity/oauth2/token', { headers: [] });
      const instance = await request(address, INSTANCE, { headers: [] });
      assert.deepEqual([probe.status, probe.body], [400, NO_HEADER_IDENTITY]);
      assert.deepEqual([instance.status, instance.body], [400, NO_HEADER_INSTANCE]);
    });
  });

  for (const value of ['true', 'True', 'TRUE']) {
    it(`takes "Metadata: ${value}"`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await request(address, TOKEN, { headers: [`Metadata: ${value}`] });
        assert.equal(answer.status, 200);
      });
    });
  }

  for (const headers of [
    ['Metadata: false'],
    ['Metadata: "true"'],
    ['Metadata:'],
    ['Metadata: true', 'Metadata: true'],
  ]) {
    it(`refuses ${JSON.stringify(headers)}`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await request(address, TOKEN, { headers });
        assert.deepEqual([answer.status, answer.body], [400, NO_HEADER_IDENTITY]);
      });
    });
  }

  for (const header of ['X-Forwarded-For: 10.0.0.1', 'x-forwarded-for:']) {
    it(`refuses a request with "${header}"`, async () => {
      await withEmulator({}, async ({ address }) => {
        const headers = ['Metadata: true', header];
        const token = await request(address, TOKEN, { headers });
        const instance = await request(address, INSTANCE, { headers });
        assert.equal(token.status, 400);
        assert.equal(instance.status, 400);
      });
    });
  }

  for (const target of [TOKEN, INSTANCE]) {
    it(`refuses duplicate query names: ${target}`, async () => {
      await withEmulator({}, async ({ address }) => {
        assert.equal((await request(address, `${target}&api-version=2018-02-01`)).status, 400);
        assert.equal((await request(address, `${target}&API-Version=2018-02-01`)).status, 400);
        assert.equal((await request(address, `${target}&unknown=1`)).status, 200);
      });
    });
  }

  for (const [method, target] of [
    ['POST', TOKEN],
    ['PUT', INSTANCE],
    ['DELETE', '/metadata/scheduledevents?api-version=2020-07-01'],
    ['POST', '/metadata/loadbalancer?api-version=2020-10-01'],
    ['HEAD', INSTANCE],
  ] as const) {
    it(`answers 405 to ${method} ${target}`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await request(address, target, { method });
        assert.equal(answer.status, 405);
        assert.match(answer.headers['allow'] ?? '', /^GET(, POST)?$/);
      });
    });
  }
});

describe('api-version', () => {
  const EXPECTED =
    '{"error":"Bad request. api-version is invalid or was not specified in the request. For more information refer to aka.ms/azureimds","newest-versions":["2025-04-07","2024-07-17","2024-03-15"]}';

  for (const query of ['', '?api-version=', '?api-version=2021-02-02', '?api-version=latest']) {
    it(`names the newest versions when "${query}" has none that is known`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await request(address, `/metadata/instance${query}`);
        assert.deepEqual([answer.status, answer.body], [400, EXPECTED]);
      });
    });
  }

  it('is required for tokens, in the shape of their errors', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await request(address, '/metadata/identity/oauth2/token?resource=x');
      assert.equal(answer.status, 400);
      assert.equal((JSON.parse(answer.body) as { error: string }).error, 'invalid_request');
    });
  });

  it('is refused when it is older than the endpoint', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await request(address, '/metadata/loadbalancer?api-version=2019-06-01');
      assert.deepEqual(
        [answer.status, answer.body],
        [404, '{"error":"Not found. Invalid version requested"}'],
      );
    });
  });

  it('is not needed to list the versions', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await request(address, '/metadata/versions');
      const { apiVersions } = JSON.parse(answer.body) as { apiVersions: string[] };
      assert.equal(answer.status, 200);
      assert.equal(apiVersions[0], '2017-03-01');
      assert.equal(apiVersions.at(-1), '2025-04-07');
    });
  });
});

describe('request targets', () => {
  // CVE-2022-23551 and the vectors of aad-pod-identity: what IMDS honours and a proxy has to stop.
  for (const path of [
    '/METADATA/identity/oauth2/token',
    '/metadata\\identity\\oauth2\\token',
    '/metadata/identity\\oauth2/token/',
    '/metadata/identity/\\oauth2\\token/',
    '/metadata/identity\\\\\\oauth2\\\\token/',
    '//metadata//identity/oauth2/token',
    '/metadata/./identity/x/../oauth2/token',
    '/metadata/identity%2foauth2%5ctoken',
    '/metadata/%69dentity/oauth2/token',
    'http://169.254.169.254/metadata/identity/oauth2/token',
  ]) {
    it(`gives a token for ${path}`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await request(address, TOKEN.replace('/metadata/identity/oauth2/token', path));
        assert.equal(answer.status, 200);
        assert.match(answer.body, /^{"access_token":"eyJ/);
      });
    });
  }

  for (const path of [
    '/',
    '/metadata',
    '/metadata/Identity/oauth2/token',
    '/metadata/IDENTITY/oauth2/token',
    '/metadata/identity/oauth2',
    '/metadata/identity/oauth2/token/more',
    '/metadata/instance/compute/nothing',
    '/metadata/constructor',
    '/metadata/versions/x',
    '/identity/oauth2/token',
  ]) {
    it(`answers 404 to ${path}`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await request(address, `${path}?api-version=2018-02-01&resource=x`);
        assert.equal(answer.status, 404);
        assert.equal(
          answer.body,
          path.startsWith('/metadata/identity')
            ? '{"error":"not_found","error_description":"Not found"}'
            : '{"error":"Not found"}',
        );
      });
    });
  }

  for (const target of ['/metadata/%zz', '/metadata/instance%00', '*']) {
    it(`answers ${target} with the front door's page`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await request(address, target, { method: target === '*' ? 'OPTIONS' : 'GET' });
        assert.equal(answer.status, 400);
        assert.match(answer.body, /Invalid URL/);
        assert.equal(answer.headers['server'], 'Microsoft-HTTPAPI/2.0');
      });
    });
  }
});

describe('answers on the wire', () => {
  it('have the headers of IMDS and no others', async () => {
    await withEmulator({}, async ({ address }) => {
      const probe = ['GET /metadata/versions HTTP/1.1', 'Host: a', 'Metadata: true', '', ''].join('\r\n');
      const last = probe.replace('Metadata', 'Connection: close\r\nMetadata');
      const { bytes } = await sendRaw(address, probe + last);
      const [first = ''] = bytes.toString().split('\r\n\r\n');
      const names = first.split('\r\n').slice(1);
      assert.deepEqual(
        names.map(line => line.split(':')[0]),
        ['Server', 'Content-Type', 'Content-Length', 'Date'],
      );
      assert.match(first, /^HTTP\/1\.1 200 OK\r\n/);
      assert.match(first, /Server: IMDS\/150\.870\.65\.1854\r\n/);
      assert.match(first, /Content-Type: application\/json; charset=utf-8\r\n/);
      assert.equal(bytes.toString().split('HTTP/1.1 200 OK').length - 1, 2, 'the connection is kept');
    });
  });

  it('carry their length, also when they are long', async () => {
    const userData = 'x'.repeat(60_000);
    const vm = { ...DEFAULT_VM, userData };
    await withEmulator({ vm }, async ({ address }) => {
      const answer = await request(address, INSTANCE);
      assert.equal(answer.headers['content-length'], String(Buffer.byteLength(answer.body)));
      assert.equal(answer.headers['transfer-encoding'], undefined);
      assert.ok(answer.body.length > 80_000);
    });
  });

  it('are an HTML page when the header block is too large', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await request(address, INSTANCE, {
        headers: ['Metadata: true', `X-Large: ${'x'.repeat(20_000)}`],
      });
      assert.equal(answer.status, 400);
      assert.equal(answer.headers['content-type'], 'text/html; charset=us-ascii');
      assert.match(answer.body, /Bad Request - Request Too Long/);
    });
  });

  it('are an HTML page when there is no Host', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await sendRaw(address, `GET ${INSTANCE} HTTP/1.1\r\nMetadata: true\r\n\r\n`);
      assert.equal(answer.status, 400);
      assert.match(answer.body, /Invalid Hostname/);
    });
  });

  it('are an HTML page when the request is no HTTP', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await sendRaw(address, 'NONSENSE\r\n\r\n');
      assert.equal(answer.status, 400);
      assert.match(answer.body, /<h2>Bad Request - Invalid/);
    });
  });

  it('do not come to who connects and leaves', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      const socket = connect(address);
      await once(socket, 'connect');
      socket.end();
      const [hadError] = (await once(socket, 'close')) as [boolean];
      assert.equal(hadError, false);
      assert.equal(socket.bytesRead, 0);
      assert.deepEqual(
        { ...emulator.stats, openConnections: 0 },
        { connections: 1, openConnections: 0, requests: 0, bytesReceived: 0 },
      );
    });
  });
});
