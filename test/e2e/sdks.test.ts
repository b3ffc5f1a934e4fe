import assert from 'node:assert/strict';
import { IDENTITY_LABEL, RESOURCES_LABEL } from '@msi-proxy/shared';
import {
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
  DEFAULT_SYSTEM_IDENTITY,
} from '../../packages/imds-emulator/src/vm/default-vm.ts';
import {
  LAST_CREDENTIAL,
  SDK_LIBRARIES,
  tokenPath,
  type SdkLanguage,
  type SdkLibrary,
  type SdkRequest,
  type SdkResult,
} from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const VAULT = 'https://vault.azure.net';
const MANAGEMENT = 'https://management.azure.com';
const UNASSIGNED_CLIENT_ID = '00000000-0000-4000-8000-000000000000';

const LANGUAGES = Object.keys(SDK_LIBRARIES) as readonly SdkLanguage[];

interface Library {
  readonly name: SdkLibrary;
  readonly language: SdkLanguage;
  /** Whether it has credentials that can be chained. */
  readonly hasChains: boolean;
  /** What a chain does after 403: `next` means that it goes on to its next credential. */
  readonly whenDenied: 'next' | 'stop';
  /** Whether its error has the text of the answer, and not only the status. */
  readonly showsText: boolean;
}

const LIBRARIES: readonly Library[] = [
  { name: '@azure/identity 4', language: 'node', hasChains: true, whenDenied: 'next', showsText: true },
  { name: '@azure/identity 3', language: 'node', hasChains: true, whenDenied: 'stop', showsText: true },
  { name: '@azure/identity 2', language: 'node', hasChains: true, whenDenied: 'stop', showsText: true },
  { name: '@azure/msal-node', language: 'node', hasChains: false, whenDenied: 'stop', showsText: true },
  { name: 'azure-identity', language: 'python', hasChains: true, whenDenied: 'stop', showsText: true },
  { name: 'msrestazure', language: 'python', hasChains: false, whenDenied: 'stop', showsText: false },
];

describe("Azure's own libraries, as they are", () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.startMonitor();
    await scenario.startProxy();
    await scenario.untilServing();
    const restricted = { [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId, [RESOURCES_LABEL]: VAULT };
    for (const language of LANGUAGES) {
      await scenario.startSdkClient(`${language}-any`, language);
      await scenario.startSdkClient(`${language}-restricted`, language, restricted);
      await scenario.startUnlabelledSdkClient(`${language}-unlabelled`, language);
    }
    await scenario.untilWired(...LANGUAGES.flatMap(name => [`${name}-any`, `${name}-restricted`]));
  });
  after(() => scenario[Symbol.asyncDispose]());

  for (const library of LIBRARIES) {
    describe(library.name, () => {
      const ask = (container: string, request: Omit<SdkRequest, 'library' | 'resource'>, resource = VAULT) =>
        scenario.sdkToken(`${library.language}-${container}`, {
          ...request,
          library: library.name,
          resource,
        });

      for (const credential of library.hasChains
        ? (['managed-identity', 'default'] as const)
        : (['managed-identity'] as const)) {
        it(`gets tokens of the system-assigned identity and of user-assigned ones (${credential})`, async () => {
          const app = DEFAULT_APP_IDENTITY.clientId;
          assert.equal(appOf(await ask('any', { credential })), DEFAULT_SYSTEM_IDENTITY.clientId);
          assert.equal(appOf(await ask('any', { credential, clientId: app })), app);
          // The DefaultAzureCredential of Debian's Python, and of JavaScript's 2, take no resource id.
          if (credential === 'managed-identity') {
            const { resourceId, clientId } = DEFAULT_DATA_IDENTITY;
            assert.equal(appOf(await ask('any', { credential, resourceId })), clientId);
          }
        });

        it(`gets the identity of the label when it names none (${credential})`, async () => {
          assert.equal(appOf(await ask('restricted', { credential })), DEFAULT_APP_IDENTITY.clientId);
        });
      }

      it('is told why when it may not have the identity or the resource', async () => {
        const credential = 'managed-identity';
        const { clientId } = DEFAULT_DATA_IDENTITY;
        const identity = failureOf(await ask('restricted', { credential, clientId }));
        const resource = failureOf(await ask('restricted', { credential }, MANAGEMENT));
        assert.match(identity, library.showsText ? /com\.msi-proxy\.identities/ : /403/);
        assert.match(resource, library.showsText ? /com\.msi-proxy\.resources/ : /403/);
      });

      it('is told that there is no such identity, on the VM and in a container without the label', async () => {
        const credential = 'managed-identity';
        const clientId = UNASSIGNED_CLIENT_ID;
        for (const result of [
          await ask('any', { credential, clientId }),
          await ask('unlabelled', { credential }),
        ]) {
          assert.match(failureOf(result), /Identity not found|assigned to this resource|status 400/);
        }
      });

      it("gets a token in the older VM extension's protocol when it is told to", async () => {
        const env = { MSI_ENDPOINT: 'http://169.254.169.254/oauth2/token' };
        const request = { credential: 'managed-identity', env } as const;
        assert.equal(appOf(await ask('any', request)), DEFAULT_SYSTEM_IDENTITY.clientId);
        assert.equal(appOf(await ask('restricted', request)), DEFAULT_APP_IDENTITY.clientId);
        assert.match(failureOf(await ask('unlabelled', request)), /Identity not found|400/);
      });

      if (library.hasChains) {
        it('goes on to its next credential where there is no identity for it', async () => {
          const credential = 'chained';
          for (const result of [
            await ask('any', { credential, clientId: UNASSIGNED_CLIENT_ID }),
            await ask('unlabelled', { credential }),
          ]) {
            assert.ok(result.ok, JSON.stringify(result));
            assert.equal(result.claims['sub'], LAST_CREDENTIAL);
          }
        });

        it(`${library.whenDenied === 'next' ? 'goes on' : 'stops'} when the policy says no`, async () => {
          const result = await ask('restricted', { credential: 'chained' }, MANAGEMENT);
          assert.equal(
            result.ok ? result.claims['sub'] : 'stop',
            library.whenDenied === 'next' ? LAST_CREDENTIAL : 'stop',
          );
        });
      }
    });
  }

  it('curl gets its token in HTTP/1.1 when it offers HTTP/2', async () => {
    const { status, body, failure } = await scenario.request('python-any', {
      path: tokenPath(VAULT),
      extra: ['--http2', '--include'],
    });
    assert.equal(failure, undefined);
    assert.equal(status, 200);
    assert.match(body, /^HTTP\/1\.1 200 /);
  });
});

function appOf(result: SdkResult): unknown {
  assert.ok(result.ok, JSON.stringify(result));
  return result.claims['appid'];
}

function failureOf(result: SdkResult): string {
  assert.ok(!result.ok, JSON.stringify(result));
  return result.message;
}
