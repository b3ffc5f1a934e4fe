import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import type { HostPort } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import {
  createEmulator,
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
  DEFAULT_SYSTEM_IDENTITY,
  DEFAULT_VM,
} from '../../src/index.ts';
import { request, sendRaw, type RawAnswer } from './support/raw-http.ts';
import { ANY_PORT, withEmulator } from './support/with-emulator.ts';

const VAULT = 'https://vault.azure.net';
const RESOURCE = `resource=${encodeURIComponent(VAULT)}`;
const PATH = '/oauth2/token';
const FORM = ['Metadata: true', 'Content-Type: application/x-www-form-urlencoded'];

function ask(address: HostPort, parameters = ''): Promise<RawAnswer> {
  return request(address, `${PATH}?${RESOURCE}${parameters}`);
}

function post(address: HostPort, body: string, headers = FORM): Promise<RawAnswer> {
  return request(address, PATH, { method: 'POST', headers, body });
}

function documentOf({ status, body }: RawAnswer): Record<string, string> {
  assert.equal(status, 200, body);
  return JSON.parse(body) as Record<string, string>;
}

function identityOf(answer: RawAnswer): unknown {
  const [, payload = ''] = documentOf(answer)['access_token']!.split('.');
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { appid: string }).appid;
}

describe('the VM extension', () => {
  it('answers with texts only, in the order of its documentation', async () => {
    await withEmulator({ clock: new FakeClock() }, async ({ vmExtension }) => {
      const answer = documentOf(await ask(vmExtension));
      assert.deepEqual(Object.entries({ ...answer, access_token: '' }), [
        ['access_token', ''],
        ['refresh_token', ''],
        ['expires_in', '86400'],
        ['expires_on', '1767312000'],
        ['not_before', '1767225300'],
        ['resource', VAULT],
        ['token_type', 'Bearer'],
      ]);
    });
  });

  for (const [parameter, id] of [
    ['client_id', DEFAULT_DATA_IDENTITY.clientId],
    ['object_id', DEFAULT_DATA_IDENTITY.objectId],
    ['msi_res_id', DEFAULT_DATA_IDENTITY.resourceId],
  ] as const) {
    it(`knows an identity by ${parameter}, in a query and in a form`, async () => {
      await withEmulator({}, async ({ vmExtension }) => {
        const named = `&${parameter}=${encodeURIComponent(id)}`;
        assert.equal(identityOf(await ask(vmExtension, named)), DEFAULT_DATA_IDENTITY.clientId);
        assert.equal(
          identityOf(await post(vmExtension, `${RESOURCE}${named}`)),
          DEFAULT_DATA_IDENTITY.clientId,
        );
      });
    });
  }

  it('takes the form as the requests library of Python sends it', async () => {
    await withEmulator({}, async ({ vmExtension }) => {
      const answer = await sendRaw(
        vmExtension,
        [
          'POST /oauth2/token HTTP/1.1',
          'Host: localhost:50342',
          'User-Agent: python-requests/2.28.1',
          'Accept-Encoding: gzip, deflate',
          'Accept: */*',
          'Connection: close',
          'Metadata: true',
          'Content-Length: 85',
          'Content-Type: application/x-www-form-urlencoded',
          '',
          'resource=https%3A%2F%2Fvault.azure.net&client_id=a0000000-0000-4000-8000-00000000000c',
        ].join('\r\n'),
      );
      assert.equal(identityOf(answer), DEFAULT_APP_IDENTITY.clientId);
    });
  });

  it('ignores what it does not know, identities in other spellings too', async () => {
    await withEmulator({}, async ({ vmExtension }) => {
      for (const parameter of [
        '&api-version=2018-02-01',
        `&mi_res_id=${encodeURIComponent(DEFAULT_APP_IDENTITY.resourceId)}`,
      ]) {
        assert.equal(identityOf(await ask(vmExtension, parameter)), DEFAULT_SYSTEM_IDENTITY.clientId);
      }
    });
  });

  it('does not read the query of a form', async () => {
    await withEmulator({}, async ({ vmExtension }) => {
      const target = `${PATH}?${RESOURCE}&client_id=${DEFAULT_APP_IDENTITY.clientId}`;
      const answer = await request(vmExtension, target, { method: 'POST', headers: FORM, body: RESOURCE });
      assert.equal(identityOf(answer), DEFAULT_SYSTEM_IDENTITY.clientId);
    });
  });

  it('requires Metadata', async () => {
    await withEmulator({}, async ({ vmExtension }) => {
      const expected =
        '{"error":"bad_request_102","error_description":"Required metadata header not specified"}';
      for (const headers of [[], ['Metadata: false'], FORM.slice(1)]) {
        for (const method of ['GET', 'POST']) {
          const answer = await request(vmExtension, `${PATH}?${RESOURCE}`, { method, headers });
          assert.deepEqual([answer.status, answer.body], [400, expected]);
        }
      }
    });
  });

  it('knows one path and two ways to ask', async () => {
    await withEmulator({}, async ({ vmExtension }) => {
      const answers = [
        await request(vmExtension, '/'),
        await request(vmExtension, '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x'),
        await request(vmExtension, `${PATH}?${RESOURCE}`, { method: 'PUT' }),
        await post(vmExtension, '{"resource":"x"}', ['Metadata: true', 'Content-Type: application/json']),
      ];
      for (const { status, body } of answers) {
        assert.deepEqual(
          [status, body],
          [401, '{"error":"unknown_source","error_description":"Unknown Source"}'],
        );
      }
    });
  });

  it('says what is wrong as IMDS does', async () => {
    await withEmulator({ vm: { ...DEFAULT_VM, systemAssignedIdentity: null } }, async ({ vmExtension }) => {
      for (const [answer, text] of [
        [await request(vmExtension, PATH), /'resource' is missing/],
        [await post(vmExtension, ''), /'resource' is missing/],
        [await ask(vmExtension), /Multiple user assigned identities exist/],
        [await ask(vmExtension, '&client_id=x'), /Identity not found/],
      ] as const) {
        assert.equal(answer.status, 400);
        assert.match(answer.body, text);
      }
    });
  });

  it('caches tokens by itself, and forgets them with the VM', async () => {
    await withEmulator({}, async ({ emulator, address, vmExtension }) => {
      const first = documentOf(await ask(vmExtension))['access_token'];
      assert.equal(documentOf(await ask(vmExtension))['access_token'], first);
      const imds = await request(
        address,
        `/metadata/identity/oauth2/token?api-version=2018-02-01&${RESOURCE}`,
      );
      assert.notEqual(documentOf(imds)['access_token'], first);
      emulator.setVm(DEFAULT_VM);
      assert.notEqual(documentOf(await ask(vmExtension))['access_token'], first);
    });
  });

  it('is recorded and broken like IMDS', async () => {
    await withEmulator({}, async ({ emulator, vmExtension }) => {
      emulator.setFaults([{ category: 'vm-extension', fault: 'status', status: 500, times: 1 }]);
      const failed = await ask(vmExtension);
      assert.deepEqual(
        [failed.status, failed.body],
        [500, '{"error":"unknown","error_description":"Failed to retrieve token from the Active directory"}'],
      );
      assert.equal((await post(vmExtension, RESOURCE)).status, 200);
      assert.deepEqual(
        emulator.requests.map(({ method, target, status }) => [method, target, status]),
        [
          ['GET', `${PATH}?${RESOURCE}`, 500],
          ['POST', PATH, 200],
        ],
      );
      assert.equal(emulator.stats.connections, 2);
    });
  });

  it("has no part in IMDS's limits", async () => {
    await withEmulator({ clock: new FakeClock(), rateLimits: true }, async ({ vmExtension }) => {
      for (let sent = 0; sent < 25; sent += 1) assert.equal((await ask(vmExtension)).status, 200);
    });
  });

  it('is there only where it was asked for', async () => {
    const emulator = createEmulator();
    assert.equal((await emulator.start({ listen: ANY_PORT })).vmExtensionListen, undefined);
    await emulator.stop();
  });

  it('frees the other addresses when its own is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const emulator = createEmulator();
    await assert.rejects(
      emulator.start({ listen: ANY_PORT, vmExtensionListen: { host: '127.0.0.1', port } }),
      { code: 'MSI_LISTEN_FAILED' },
    );
    taken.close();
    await emulator.stop();
  });
});
