import assert from 'node:assert/strict';
import { createEmulator, DEFAULT_VM, type Emulator, type Fault } from '@msi-proxy/imds-emulator';
import { DEFAULT_ENDPOINT_GROUPS, type Caller, type Environment } from '@msi-proxy/shared';
import { callerAt, grantOf, UNLABELLED } from '../support/callers.ts';
import type { FakeMonitor } from '../support/fake-monitor.ts';
import { open, readAll, requestText, sendAndLeave, type RawAnswer } from '../support/raw-client.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';
import { until } from '../support/until.ts';
import { METADATA_REQUESTS } from './metadata-requests.ts';
import { PROBES } from './probes.ts';
import type { Outcome } from './outcomes.ts';
import { TOKEN_CLIENTS } from './token-requests.ts';
import { VM_EXTENSION_CLIENTS } from './vm-extension-clients.ts';
import { CLIENT_REQUEST_ID, head, HOST, METADATA, TOKEN_PATH, VAULT } from './wire.ts';

// All of 127.0.0.0/8 is this machine's: one address for each kind of caller.
const CLIENT = '127.0.0.2';
const DENIED = '127.0.0.3';
const UNLABELLED_CALLER = '127.0.0.4';
const REFUSED = '127.0.0.5';
const NOBODY = '127.0.0.6';

const CALLERS: readonly Caller[] = [
  callerAt(CLIENT, {
    grant: grantOf({ endpoints: [...DEFAULT_ENDPOINT_GROUPS, 'attested', 'scheduledevents'] }),
  }),
  callerAt(DENIED, {
    containerId: 'd'.repeat(64),
    grant: grantOf({ resources: [] }),
  }),
  callerAt(UNLABELLED_CALLER, { containerId: 'e'.repeat(64), grant: UNLABELLED }),
  callerAt(REFUSED, {
    containerId: 'f'.repeat(64),
    grant: { kind: 'refused', reason: 'label x is unknown' },
  }),
];

const TOKEN_FIELDS = [
  'access_token',
  'client_id',
  'expires_in',
  'expires_on',
  'ext_expires_in',
  'not_before',
  'resource',
  'token_type',
];

const WORDS: Readonly<Record<Outcome, string>> = {
  token: 'gets a token',
  next: 'goes on to its next credential',
  stop: 'ends with an error',
  again: 'tries again',
};

/** What every client relies on in every answer, whatever its status. */
function assertReadable(answer: RawAnswer): void {
  const { headers, body, text } = answer;
  assert.match(headers['server'] ?? '', /IMDS/, 'Server tells IMDS from what else may answer');
  assert.equal(headers['content-length'], String(Buffer.byteLength(body, 'latin1')), text);
  assert.equal(headers['transfer-encoding'], undefined, text);
  assert.equal(headers['upgrade'], undefined, text);
  assert.doesNotMatch(text, /unreachable/i, 'a word that SDKs take for a missing IMDS');
}

function assertJson(answer: RawAnswer): Record<string, unknown> {
  assertReadable(answer);
  assert.match(answer.headers['content-type'] ?? '', /^application\/json(;|$)/);
  return JSON.parse(answer.body) as Record<string, unknown>;
}

function claimsOf(token = ''): Record<string, unknown> {
  const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  return JSON.parse(claims) as Record<string, unknown>;
}

describe('the contract with SDKs', () => {
  let emulator: Emulator;
  let imdsPort: number;
  let extensionPort: number;
  let running: ProxyUnderTest;
  let monitor: FakeMonitor;

  beforeEach(async () => {
    emulator = createEmulator();
    const anyPort = { host: '127.0.0.1', port: 0 };
    const addresses = await emulator.start({ listen: anyPort, vmExtensionListen: anyPort });
    imdsPort = addresses.listen.port;
    extensionPort = addresses.vmExtensionListen!.port;
    // Whoever waited for a caller or for a monitor would wait longer than the test may take.
    const environment = { MSI_PROXY_HOLD_MS: '30000', MSI_PROXY_CALLER_WAIT_MS: '30000' };
    running = await startProxy({ imdsPort, environment });
    monitor = await running.join(...CALLERS);
  });

  afterEach(async () => {
    await running.stop();
    await emulator.stop();
  });

  /** Without a monitor. */
  async function restart(environment: Environment): Promise<void> {
    await running.stop();
    running = await startProxy({ imdsPort, environment });
  }

  function throughProxy(bytes: string, from = CLIENT): Promise<RawAnswer> {
    return sendAndLeave({ port: running.port, from }, bytes);
  }

  function direct(bytes: string): Promise<RawAnswer> {
    return sendAndLeave({ port: imdsPort }, bytes);
  }

  describe('for probes: answered at once, to anybody, in the same words as IMDS', () => {
    for (const { client, bytes, finds, expected } of PROBES) {
      it(`${client}: ${expected ? 'finds it' : 'does not find it'}`, async () => {
        const atImds = await direct(bytes);
        assert.equal(finds(atImds), expected, atImds.text);
        emulator.clearRequests();

        for (const from of [CLIENT, DENIED, UNLABELLED_CALLER, REFUSED, NOBODY]) {
          const answer = await throughProxy(bytes, from);
          assert.equal(finds(answer), expected, answer.text);
          assert.equal(answer.status, atImds.status);
          assert.equal(answer.body, atImds.body);
          assertJson(answer);
          assert.doesNotMatch(answer.body, /Identity not found/);
        }
        assert.deepEqual(emulator.requests, []);
        assert.deepEqual(monitor.messages('confirm'), []);
      });
    }

    it('while no monitor has named anybody', async () => {
      monitor.leave();
      for (const { bytes, finds, expected, client } of PROBES) {
        assert.equal(finds(await throughProxy(bytes)), expected, client);
      }
    });

    it('before requests that wait for their caller, also from the same address', async () => {
      monitor.confirm = () => undefined;
      const waiting = open({ port: running.port, from: NOBODY });
      waiting.write(requestText(`${TOKEN_PATH}?api-version=2018-02-01&resource=${VAULT}`));
      await until(() => monitor.messages('confirm').length > 0);
      for (const { bytes, finds, expected, client } of PROBES) {
        assert.equal(finds(await throughProxy(bytes, NOBODY)), expected, client);
      }
      assert.equal(waiting.bytesRead, 0, 'the other request was answered');
      waiting.destroy();
    });

    it('before requests that wait for IMDS', async () => {
      emulator.setFaults([{ category: 'token', fault: 'delay', delayMillis: 60_000 }]);
      const waiting = open({ port: running.port, from: CLIENT });
      waiting.write(requestText(`${TOKEN_PATH}?api-version=2018-02-01&resource=${VAULT}`));
      await until(() => emulator.requests.length > 0);
      for (const { bytes, finds, expected, client } of PROBES) {
        assert.equal(finds(await throughProxy(bytes)), expected, client);
      }
      assert.equal(waiting.bytesRead, 0, 'the other request was answered');
      waiting.destroy();
    });

    it('azure-identity (Java), and early Azure.Identity (.NET), which connect and leave: find it', async () => {
      // Azure/azure-sdk-for-java@0114699 IdentityClient.java; Azure/azure-sdk-for-net@00914ee ManagedIdentityClient.cs
      for (const port of [running.port, imdsPort]) {
        const socket = open({ port });
        let isConnected = false;
        socket.once('connect', () => {
          isConnected = true;
          socket.destroy();
        });
        await readAll(socket);
        assert.ok(isConnected);
      }
      assert.equal((await throughProxy(PROBES[0]!.bytes)).status, 400);
    });
  });

  describe('for token requests', () => {
    for (const of of TOKEN_CLIENTS) {
      it(`${of.client}: gets a token of the identity that it asks for`, async () => {
        for (const { variant, bytes, clientId } of of.requests) {
          for (const answer of [await direct(bytes), await throughProxy(bytes)]) {
            const fields = assertJson(answer);
            assert.equal(of.read(answer), 'token', `${variant}: ${answer.status} ${String(fields['error'])}`);
            assert.equal(fields['client_id'], clientId, variant);
            assert.equal(fields['resource'], VAULT);
            // MSAL.NET's reading depends on the order, and older clients' on the types.
            assert.deepEqual(Object.keys(fields).slice(0, TOKEN_FIELDS.length), TOKEN_FIELDS);
            assert.ok(Object.values(fields).every(value => typeof value === 'string'));
          }
        }
      });

      it(`${of.client}: ${WORDS[of.withoutIdentity]} where there is no such identity`, async () => {
        emulator.setVm({ ...DEFAULT_VM, systemAssignedIdentity: null, userAssignedIdentities: [] });
        for (const { variant, bytes } of of.requests) {
          const atImds = await direct(bytes);
          assert.equal(of.read(atImds), of.withoutIdentity, variant);
          // A container without the label, or one that nobody knows, is told the same without a question to IMDS.
          emulator.clearRequests();
          for (const from of [UNLABELLED_CALLER, CLIENT]) {
            const answer = await throughProxy(bytes, from);
            assert.equal(of.read(answer), of.withoutIdentity, `${variant}: ${answer.text}`);
            assert.deepEqual(assertJson(answer), JSON.parse(atImds.body));
            if (from !== CLIENT) assert.deepEqual(emulator.requests, []);
          }
        }
      });

      it(`${of.client}: ${WORDS[of.whenDenied]} where the policy says no, or is not valid`, async () => {
        for (const { variant, bytes } of of.requests) {
          for (const from of [DENIED, REFUSED]) {
            const answer = await throughProxy(bytes, from);
            const { error, error_description: text } = assertJson(answer);
            assert.equal(of.read(answer), of.whenDenied, `${variant}: ${answer.text}`);
            assert.deepEqual([answer.status, error], [403, 'access_denied']);
            assert.match(
              String(text),
              from === DENIED ? /label com\.msi-proxy\.resources/ : /label x is unknown/,
            );
          }
        }
        assert.deepEqual(emulator.requests, []);
      });
    }

    it('every client does what it does about a failure while nobody confirms callers', async () => {
      await restart({ MSI_PROXY_HOLD_MS: '0' });
      for (const { client, requests, read, whenUnavailable } of TOKEN_CLIENTS) {
        const answer = await throughProxy(requests[0]!.bytes);
        assert.equal(read(answer), whenUnavailable, client);
        assert.deepEqual([answer.status, assertJson(answer)['error']], [503, 'service_unavailable']);
        assert.equal(answer.headers['connection'], 'close', 'the next try may reach another proxy');
      }
    });
  });

  describe('while IMDS fails: no client takes that for the absence of an identity', () => {
    const failures: readonly (readonly [name: string, fault: Fault])[] = [
      ...[404, 410, 429, 500, 503].map(
        status => [`it answers ${status}`, { fault: 'status', status }] as const,
      ),
      ['what stands in for it answers with a page of HTML', { fault: 'front-door-page' }],
      ['its answers end in the middle', { fault: 'truncate' }],
      ['its connections are reset', { fault: 'reset', afterBytes: 0 }],
      ['it does not answer', { fault: 'hang' }],
    ];
    for (const [name, fault] of failures) {
      it(name, async () => {
        await restart({ MSI_PROXY_UPSTREAM_TIMEOUT_MS: '100' });
        monitor = await running.join(...CALLERS);
        emulator.setFaults([fault]);
        await Promise.all(
          TOKEN_CLIENTS.map(async ({ client, requests, read, whenUnavailable }) => {
            const answer = await throughProxy(requests[0]!.bytes);
            assertJson(answer);
            const outcome = read(answer);
            assert.ok(outcome === 'again' || outcome === 'stop', `${client}: ${outcome}, ${answer.text}`);
            if (answer.status === 503) assert.equal(outcome, whenUnavailable, client);
          }),
        );
      });
    }
  });

  describe("for the requests of MSAL.NET's protocol of credentials", () => {
    const bytes = head(
      'GET /metadata/identity/getplatformmetadata?cred-api-version=2.0 HTTP/1.1',
      HOST,
      METADATA,
      CLIENT_REQUEST_ID,
    );

    it('404, which means that only the other protocol is here, to whom it is not granted', async () => {
      for (const from of [CLIENT, UNLABELLED_CALLER]) {
        const answer = await throughProxy(bytes, from);
        assert.equal(answer.status, 404);
        assert.equal(assertJson(answer)['error'], 'not_found');
      }
      assert.deepEqual(emulator.requests, []);
    });

    it("IMDS's own answer to whom it is granted", async () => {
      await monitor.snapshot([callerAt(CLIENT, { grant: grantOf({ endpoints: ['credential'] }) })]);
      const answer = await throughProxy(bytes);
      assert.deepEqual(assertJson(answer), assertJson(await direct(bytes)));
      assert.deepEqual(
        emulator.requests.map(({ target }) => target.split('?')[0]),
        Array.from({ length: 2 }, () => '/metadata/identity/getplatformmetadata'),
      );
    });
  });

  describe("for token requests in the VM extension's protocol", () => {
    for (const { client, read, requests } of VM_EXTENSION_CLIENTS) {
      it(`${client}: gets a token of the identity that it asks for`, async () => {
        for (const { variant, bytes, clientId } of requests) {
          const atExtension = await sendAndLeave({ port: extensionPort }, bytes);
          for (const answer of [atExtension, await throughProxy(bytes)]) {
            const fields = JSON.parse(answer.body) as Record<string, string>;
            assert.equal(read(answer), 'token', `${variant}: ${answer.text}`);
            assert.equal(claimsOf(fields['access_token'])['appid'], clientId, variant);
            assert.ok(Object.values(fields).every(value => typeof value === 'string'));
          }
        }
      });

      it(`${client}: is not made to try again where it may have none`, async () => {
        for (const { variant, bytes } of requests) {
          for (const from of [UNLABELLED_CALLER, DENIED, REFUSED]) {
            const answer = await throughProxy(bytes, from);
            assert.equal(answer.status, from === UNLABELLED_CALLER ? 400 : 403);
            assert.equal(typeof assertJson(answer)['error_description'], 'string');
            assert.match(read(answer), /next|stop/, variant);
          }
        }
        assert.deepEqual(emulator.requests, []);
      });
    }
  });

  describe('for other requests', () => {
    for (const { client, bytes, needs } of METADATA_REQUESTS) {
      it(`${client}: gets what it reads`, async () => {
        for (const answer of [await direct(bytes), await throughProxy(bytes)]) {
          assertReadable(answer);
          assert.ok(needs(answer), answer.text);
        }
      });
    }
  });
});
