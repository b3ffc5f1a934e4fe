import assert from 'node:assert/strict';
import { createEmulator, DEFAULT_APP_IDENTITY, type Emulator } from '@msi-proxy/imds-emulator';
import { callerAt, grantOf } from '../support/callers.ts';
import { ask, CLIENT_ADDRESS, type RawAnswer } from '../support/raw-client.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net';

/** The answer without what differs between any two: times, and what is signed with them. */
function comparable({ text }: RawAnswer): string {
  return text
    .replace(/^Date: .*$/m, 'Date: -')
    .replace(/"(expires_in|ext_expires_in|signature)":"[^"]*"/g, '"$1":"-"');
}

describe('the server in front of an IMDS as strict as the real one', () => {
  let emulator: Emulator;
  let imdsPort: number;
  let running: ProxyUnderTest;

  beforeEach(async () => {
    emulator = createEmulator();
    const { listen } = await emulator.start({ listen: { host: '127.0.0.1', port: 0 } });
    imdsPort = listen.port;
    running = await startProxy({ imdsPort });
  });

  afterEach(async () => {
    await running.stop();
    await emulator.stop();
  });

  const EVERYTHING = grantOf({
    endpoints: [
      'token',
      'identity-info',
      'instance',
      'userdata',
      'loadbalancer',
      'attested',
      'scheduledevents',
    ],
  });
  const targets = [
    TOKEN,
    `${TOKEN}&client_id=${DEFAULT_APP_IDENTITY.clientId}`,
    `${TOKEN}&client_id=00000000-0000-0000-0000-000000000000`,
    '/metadata/identity/info?api-version=2018-02-01',
    '/metadata/instance?api-version=2021-02-01',
    '/metadata/instance/compute/location?api-version=2021-02-01&format=text',
    '/metadata/instance/compute/location?api-version=2021-02-01',
    '/metadata/instance/compute/userData?api-version=2021-02-01&format=text',
    '/metadata/instance/none?api-version=2021-02-01',
    '/metadata/instance?api-version=1999-01-01',
    '/metadata/instance',
    '/metadata/loadbalancer?api-version=2020-10-01',
    '/metadata/attested/document?api-version=2020-09-01&nonce=1234567890',
    '/metadata/scheduledevents?api-version=2020-07-01',
    '/metadata/versions',
  ];
  for (const target of targets) {
    it(`answers as it does, byte for byte: ${target}`, async () => {
      await running.join(callerAt(CLIENT_ADDRESS, { grant: EVERYTHING }));
      const throughProxy = await ask(target, { port: running.port });
      const direct = await ask(target, { port: imdsPort });
      assert.equal(comparable(throughProxy), comparable(direct));
    });
  }

  it('hands out a token for the identity of the policy', async () => {
    const { clientId } = DEFAULT_APP_IDENTITY;
    const grant = grantOf({
      defaultIdentity: { kind: 'client-id', id: clientId },
      identities: [{ kind: 'client-id', id: clientId }],
    });
    await running.join(callerAt(CLIENT_ADDRESS, { grant }));
    const answer = await ask(TOKEN, { port: running.port });
    assert.equal(answer.status, 200);
    assert.equal((JSON.parse(answer.body) as { client_id: string }).client_id, clientId);
  });

  it('leaves user data out of instance metadata for a client that may not have it', async () => {
    await running.join(callerAt(CLIENT_ADDRESS));
    const { body } = await ask('/metadata/instance?api-version=2021-02-01', { port: running.port });
    assert.match(body, /"compute"/);
    assert.doesNotMatch(body, /userData/);
  });
});
