import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { HostPort } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import {
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
  DEFAULT_SYSTEM_IDENTITY,
  DEFAULT_VM,
  TOKEN_MARKERS,
} from '../../src/index.ts';
import { request } from './support/raw-http.ts';
import { withEmulator } from './support/with-emulator.ts';

const VAULT = 'https://vault.azure.net';
const NOT_FOUND = '{"error":"invalid_request","error_description":"Identity not found"}';
const AMBIGUOUS =
  '{"error":"invalid_request","error_description":"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"}';

interface TokenAnswer {
  readonly access_token: string;
  readonly client_id: string;
  readonly expires_in: string;
  readonly expires_on: string;
}

function ask(address: HostPort, query = '', resource = VAULT) {
  const encoded = encodeURIComponent(resource);
  return request(
    address,
    `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encoded}${query}`,
  );
}

async function token(address: HostPort, query = '', resource = VAULT): Promise<TokenAnswer> {
  const answer = await ask(address, query, resource);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as TokenAnswer;
}

function claimsOf({ access_token }: TokenAnswer): Record<string, unknown> {
  return JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    unknown
  >;
}

describe('/metadata/identity/oauth2/token', () => {
  it('answers with texts only, in the order of IMDS', async () => {
    await withEmulator({ clock: new FakeClock() }, async ({ address }) => {
      const answer = JSON.parse((await ask(address)).body) as Record<string, unknown>;
      assert.deepEqual(
        { ...answer, access_token: '' },
        {
          access_token: '',
          client_id: DEFAULT_SYSTEM_IDENTITY.clientId,
          expires_in: '86400',
          expires_on: '1767312000',
          ext_expires_in: '86399',
          not_before: '1767225300',
          resource: VAULT,
          token_type: 'Bearer',
        },
      );
      assert.deepEqual(Object.keys(answer)[0], 'access_token');
    });
  });

  it('gives a token whose claims are those of the identity and the resource', async () => {
    await withEmulator({ clock: new FakeClock() }, async ({ address }) => {
      const claims = claimsOf(await token(address, `&client_id=${DEFAULT_APP_IDENTITY.clientId}`));
      assert.equal(claims['aud'], VAULT);
      assert.equal(claims['oid'], DEFAULT_APP_IDENTITY.objectId);
      assert.equal(claims['appid'], DEFAULT_APP_IDENTITY.clientId);
      assert.equal(claims['xms_mirid'], DEFAULT_APP_IDENTITY.resourceId);
      assert.equal(claims['tid'], DEFAULT_VM.tenantId);
      assert.equal(claims['exp'], 1767312000);
    });
  });

  it('names the VM in tokens of its system-assigned identity', async () => {
    await withEmulator({}, async ({ address }) => {
      const mirid = claimsOf(await token(address))['xms_mirid'];
      assert.match(String(mirid), /\/Microsoft\.Compute\/virtualMachines\/vm-emulated$/);
    });
  });

  it('marks tokens at both ends, so that leaked ones are found', async () => {
    await withEmulator({}, async ({ address }) => {
      const { access_token } = await token(address);
      const [start = '', end = ''] = TOKEN_MARKERS;
      assert.ok(access_token.startsWith(`${start}.`));
      assert.ok(access_token.endsWith(`.${end}`));
      assert.equal(access_token.split('.').length, 3);
    });
  });

  for (const [parameter, id] of [
    ['client_id', DEFAULT_DATA_IDENTITY.clientId],
    ['client_id', DEFAULT_DATA_IDENTITY.clientId.toUpperCase()],
    ['object_id', DEFAULT_DATA_IDENTITY.objectId],
    ['msi_res_id', DEFAULT_DATA_IDENTITY.resourceId],
    ['mi_res_id', DEFAULT_DATA_IDENTITY.resourceId],
    ['msi-res-id', DEFAULT_DATA_IDENTITY.resourceId.toLowerCase()],
    ['CLIENT_ID', DEFAULT_DATA_IDENTITY.clientId],
  ] as const) {
    it(`knows an identity by ${parameter}=${id}`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await token(address, `&${parameter}=${encodeURIComponent(id)}`);
        assert.equal(answer.client_id, DEFAULT_DATA_IDENTITY.clientId);
      });
    });
  }

  it('echoes the ids that are in the request', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await token(address, `&object_id=${DEFAULT_APP_IDENTITY.objectId}`);
      assert.equal((answer as { object_id?: string }).object_id, DEFAULT_APP_IDENTITY.objectId);
    });
  });

  it('takes the system-assigned identity when the id is empty', async () => {
    await withEmulator({}, async ({ address }) => {
      assert.equal((await token(address, '&client_id=')).client_id, DEFAULT_SYSTEM_IDENTITY.clientId);
    });
  });

  it('takes the only user-assigned identity when none is named', async () => {
    const vm = {
      ...DEFAULT_VM,
      systemAssignedIdentity: null,
      userAssignedIdentities: [DEFAULT_APP_IDENTITY],
    };
    await withEmulator({ vm }, async ({ address }) => {
      assert.equal((await token(address)).client_id, DEFAULT_APP_IDENTITY.clientId);
    });
  });

  it('asks for an id when there are several to choose from', async () => {
    await withEmulator({ vm: { ...DEFAULT_VM, systemAssignedIdentity: null } }, async ({ address }) => {
      const answer = await ask(address);
      assert.deepEqual([answer.status, answer.body], [400, AMBIGUOUS]);
    });
  });

  it('finds no identity on a VM without any', async () => {
    const vm = { ...DEFAULT_VM, systemAssignedIdentity: null, userAssignedIdentities: [] };
    await withEmulator({ vm }, async ({ address }) => {
      const answer = await ask(address);
      assert.deepEqual([answer.status, answer.body], [400, NOT_FOUND]);
      assert.equal(answer.headers['content-length'], '68');
    });
  });

  it('finds no identity by an id that is not on the VM', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await ask(address, '&client_id=99999999-9999-4999-8999-999999999999');
      assert.deepEqual([answer.status, answer.body], [400, NOT_FOUND]);
    });
  });

  it('refuses two ids, also when they mean the same identity', async () => {
    await withEmulator({}, async ({ address }) => {
      const { clientId, objectId, resourceId } = DEFAULT_APP_IDENTITY;
      for (const query of [
        `&client_id=${clientId}&object_id=${objectId}`,
        `&msi_res_id=${resourceId}&mi_res_id=${resourceId}`,
      ]) {
        assert.equal((await ask(address, query)).status, 400);
      }
    });
  });

  it('needs a resource', async () => {
    await withEmulator({}, async ({ address }) => {
      const expected =
        '{"error":"invalid_request","error_description":"Required query variable \'resource\' is missing"}';
      const missing = await request(address, '/metadata/identity/oauth2/token?api-version=2018-02-01');
      const empty = await ask(address, '', '');
      assert.deepEqual([missing.status, missing.body], [400, expected]);
      assert.deepEqual([empty.status, empty.body], [400, expected]);
    });
  });

  it('refuses a resource that cannot be one', async () => {
    await withEmulator({}, async ({ address }) => {
      const answer = await ask(address, '', 'not a resource');
      assert.equal(answer.status, 400);
      assert.match(answer.body, /"error":"invalid_resource"/);
    });
  });
});

describe('cached tokens', () => {
  it('are given again, with the time that is left', async () => {
    const clock = new FakeClock();
    await withEmulator({ clock }, async ({ address }) => {
      const first = await token(address);
      await clock.advance(100_000);
      const second = await token(address);
      assert.equal(second.access_token, first.access_token);
      assert.equal(second.expires_on, first.expires_on);
      assert.deepEqual([first.expires_in, second.expires_in], ['86400', '86300']);
    });
  });

  it('are renewed shortly before they expire', async () => {
    const clock = new FakeClock();
    await withEmulator({ clock, tokenLifetimeSeconds: 3_600 }, async ({ address }) => {
      const first = await token(address);
      await clock.advance((3_600 - 301) * 1_000);
      const stillCached = await token(address);
      await clock.advance(1_000);
      const renewed = await token(address);
      assert.equal(stillCached.access_token, first.access_token);
      assert.notEqual(renewed.access_token, first.access_token);
      assert.equal(renewed.expires_in, '3600');
    });
  });

  it('are kept for each identity and each resource', async () => {
    await withEmulator({}, async ({ address }) => {
      const tokens = [
        await token(address),
        await token(address, '', 'https://management.azure.com/'),
        await token(address, `&client_id=${DEFAULT_APP_IDENTITY.clientId}`),
      ];
      assert.equal(new Set(tokens.map(each => each.access_token)).size, 3);
    });
  });

  it('are passed over by bypass_cache=true', async () => {
    await withEmulator({}, async ({ address }) => {
      const first = await token(address);
      const other = await token(address, '&bypass_cache=false');
      const fresh = await token(address, '&bypass_cache=true');
      assert.equal(other.access_token, first.access_token);
      assert.notEqual(fresh.access_token, first.access_token);
    });
  });

  it('are replaced when the request has the hash of the cached one', async () => {
    await withEmulator({}, async ({ address }) => {
      const first = await token(address);
      const hash = createHash('sha256').update(first.access_token).digest('hex');
      const other = await token(address, `&token_sha256_to_refresh=${'0'.repeat(64)}`);
      const fresh = await token(address, `&token_sha256_to_refresh=${hash}`);
      assert.equal(other.access_token, first.access_token);
      assert.notEqual(fresh.access_token, first.access_token);
    });
  });
});
