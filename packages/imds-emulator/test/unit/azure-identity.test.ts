import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { HostPort } from '@msi-proxy/shared';
import {
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
  DEFAULT_SYSTEM_IDENTITY,
  DEFAULT_VM,
} from '../../src/index.ts';
import { withEmulator } from './support/with-emulator.ts';

const CLIENT = fileURLToPath(new URL('support/managed-identity-client.ts', import.meta.url));

type Result = { readonly token: string } | { readonly error: string };

/** Lets @azure/identity get a token with each of these options. */
async function getTokens({ host, port }: HostPort, options: readonly object[]): Promise<Result[]> {
  const environment = {
    PATH: process.env['PATH'],
    AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${host}:${port}`,
  };
  const { stdout } = await promisify(execFile)(process.execPath, [CLIENT, JSON.stringify(options)], {
    env: environment,
  });
  return JSON.parse(stdout) as Result[];
}

function claimsOf(result: Result | undefined): Record<string, unknown> {
  assert.ok(result !== undefined && 'token' in result, JSON.stringify(result));
  const claims = Buffer.from(result.token.split('.')[1] ?? '', 'base64url').toString();
  return JSON.parse(claims) as Record<string, unknown>;
}

describe('@azure/identity with AZURE_POD_IDENTITY_AUTHORITY_HOST', function () {
  this.timeout(30_000);

  it('gets a token of each identity, however it is named', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      const results = await getTokens(address, [
        {},
        { clientId: DEFAULT_APP_IDENTITY.clientId },
        { objectId: DEFAULT_DATA_IDENTITY.objectId },
        { resourceId: DEFAULT_DATA_IDENTITY.resourceId },
      ]);
      assert.deepEqual(
        results.map(result => claimsOf(result)['oid']),
        [
          DEFAULT_SYSTEM_IDENTITY.objectId,
          DEFAULT_APP_IDENTITY.objectId,
          DEFAULT_DATA_IDENTITY.objectId,
          DEFAULT_DATA_IDENTITY.objectId,
        ],
      );
      assert.equal(claimsOf(results[0])['aud'], 'https://vault.azure.net');
      assert.deepEqual(
        emulator.requests.map(({ status }) => status),
        [200, 200, 200, 200],
      );
    });
  });

  it('is told that the VM has no such identity', async () => {
    const vm = { ...DEFAULT_VM, systemAssignedIdentity: null, userAssignedIdentities: [] };
    await withEmulator({ vm }, async ({ address }) => {
      const [result] = await getTokens(address, [{ clientId: DEFAULT_APP_IDENTITY.clientId }]);
      assert.ok(result !== undefined && 'error' in result);
      assert.match(result.error, /Identity not found/);
    });
  });

  it('tries again while IMDS is being updated', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      emulator.setFaults([{ category: 'token', fault: 'status', status: 404, times: 1 }]);
      const [result] = await getTokens(address, [{ clientId: DEFAULT_APP_IDENTITY.clientId }]);
      assert.equal(claimsOf(result)['oid'], DEFAULT_APP_IDENTITY.objectId);
      assert.deepEqual(
        emulator.requests.map(({ status }) => status),
        [404, 200],
      );
    });
  });
});
