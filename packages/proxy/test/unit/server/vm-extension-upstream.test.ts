import assert from 'node:assert/strict';
import { createEmulator, DEFAULT_APP_IDENTITY, DEFAULT_VM, type Emulator } from '@msi-proxy/imds-emulator';
import { DEFAULT_ENDPOINT_GROUPS, type HostPort } from '@msi-proxy/shared';
import { callerAt, grantOf } from '../support/callers.ts';
import { ask, CLIENT_ADDRESS } from '../support/raw-client.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';

const ANY_PORT: HostPort = { host: '127.0.0.1', port: 0 };
// Nobody listens there.
const NOWHERE = 9;

const RESOURCE = 'resource=https%3A%2F%2Fvault.azure.net';
const TOKEN = `/metadata/identity/oauth2/token?api-version=2018-02-01&${RESOURCE}`;
const INSTANCE = '/metadata/instance?api-version=2021-02-01';

const GRANT = grantOf({ endpoints: [...DEFAULT_ENDPOINT_GROUPS, 'credential'] });

describe('the server with the VM extension as its upstream', () => {
  let emulator: Emulator;
  let imdsPort: number;
  let vmExtensionPort: number;
  let running: ProxyUnderTest | undefined;

  beforeEach(async () => {
    emulator = createEmulator();
    const addresses = await emulator.start({ listen: ANY_PORT, vmExtensionListen: ANY_PORT });
    imdsPort = addresses.listen.port;
    vmExtensionPort = addresses.vmExtensionListen!.port;
  });

  afterEach(async () => {
    await running?.stop();
    await emulator.stop();
  });

  async function start(imds = imdsPort): Promise<void> {
    running = await startProxy({
      imdsPort: imds,
      environment: {
        MSI_PROXY_UPSTREAM: 'vm-extension',
        MSI_PROXY_VM_EXTENSION_ADDRESS: `127.0.0.1:${vmExtensionPort}`,
        MSI_PROXY_UPSTREAM_TIMEOUT_MS: '1000',
      },
    });
    await running.join(callerAt(CLIENT_ADDRESS, { grant: GRANT }));
  }

  const get = (target: string) => ask(target, { port: running!.port });
  const postForm = (body: string) =>
    ask('/oauth2/token', {
      port: running!.port,
      method: 'POST',
      headers: ['Metadata: true', 'Content-Type: application/x-www-form-urlencoded'],
      body,
    });

  it('gives clients of IMDS tokens of the extension, in the form of IMDS', async () => {
    await start();
    const { status, body, headers } = await get(`${TOKEN}&mi_res_id=${DEFAULT_APP_IDENTITY.resourceId}`);
    assert.equal(status, 200, body);
    assert.match(headers['server'] ?? '', /IMDS/);
    const token = JSON.parse(body) as Record<string, string>;
    assert.deepEqual(Object.keys(token), [
      ...['access_token', 'expires_in', 'expires_on', 'ext_expires_in', 'not_before', 'resource'],
      ...['token_type', 'msi_res_id'],
    ]);
    const claims = Buffer.from(token['access_token']!.split('.')[1]!, 'base64url').toString();
    assert.equal((JSON.parse(claims) as { appid: string }).appid, DEFAULT_APP_IDENTITY.clientId);

    const [asked] = emulator.requests;
    assert.equal(
      asked?.target,
      `/oauth2/token?msi_res_id=${encodeURIComponent(DEFAULT_APP_IDENTITY.resourceId)}&${RESOURCE}`,
    );
    assert.equal(asked.rawHeaders[asked.rawHeaders.indexOf('Host') + 1], `localhost:${vmExtensionPort}`);
  });

  it('gives them again to those who ask in its own protocol', async () => {
    await start();
    const tokens = [(await get(TOKEN)).body, (await postForm(RESOURCE)).body].map(
      body => (JSON.parse(body) as { access_token: string }).access_token,
    );
    assert.equal(tokens[0], tokens[1]);
    assert.equal(emulator.requests.length, 1);
  });

  it('says what is wrong in the words of IMDS', async () => {
    await start();
    emulator.setVm({ ...DEFAULT_VM, systemAssignedIdentity: null, userAssignedIdentities: [] });
    const answer = await get(TOKEN);
    assert.deepEqual(
      [answer.status, answer.body],
      [400, '{"error":"invalid_request","error_description":"Identity not found"}'],
    );
    emulator.setFaults([{ category: 'vm-extension', fault: 'status', status: 500 }]);
    const failed = await get(`${TOKEN}%2F`);
    assert.equal(failed.status, 500);
    assert.match(failed.body, /^\{"error":"server_error","error_description":"Failed to retrieve/);
  });

  it('gets everything else from IMDS', async () => {
    await start();
    assert.equal((await get(INSTANCE)).status, 200);
    assert.equal((await get('/metadata/versions')).status, 200);
  });

  it('answers 404 in the shape of the path, and soon, where there is no IMDS', async () => {
    await start(NOWHERE);
    for (const [path, isIdentity] of [
      [INSTANCE, false],
      ['/metadata/versions', false],
      ['/metadata/loadbalancer?api-version=2020-10-01', false],
      ['/metadata/identity/info?api-version=2018-02-01', true],
      ['/metadata/identity/getplatformmetadata?cred-api-version=2.0', true],
    ] as const) {
      const { status, body } = await get(path);
      assert.equal(status, 404, path);
      const text = 'There is no metadata service here, only tokens';
      assert.deepEqual(
        JSON.parse(body),
        isIdentity ? { error: 'not_found', error_description: text } : { error: text },
      );
    }
    assert.equal((await get(TOKEN)).status, 200);
    assert.ok(running!.log.some(({ reason }) => reason === 'no-imds'));
  });

  it('answers 503 while the extension is away', async () => {
    await start();
    await emulator.stop();
    const { status, body } = await get(TOKEN);
    assert.equal(status, 503);
    assert.match(body, /^\{"error":"service_unavailable",/);
  });
});
