import assert from 'node:assert/strict';
import type { HostPort } from '@msi-proxy/shared';
import { DEFAULT_VM } from '../../src/index.ts';
import { request } from './support/raw-http.ts';
import { withEmulator } from './support/with-emulator.ts';

const VERSION = '2021-02-01';

function get(address: HostPort, path: string, query = '', version = VERSION) {
  return request(address, `/metadata/instance${path}?api-version=${version}${query}`);
}

describe('/metadata/instance', () => {
  it('has compute and network, every value a text', async () => {
    await withEmulator({}, async ({ address }) => {
      const document: unknown = JSON.parse((await get(address, '')).body);
      assert.deepEqual(Object.keys(document as object), ['compute', 'network']);
      assert.deepEqual(leafTypes(document), new Set(['string']));
    });
  });

  it('tells about the VM', async () => {
    await withEmulator({}, async ({ address }) => {
      const compute = JSON.parse((await get(address, '/compute')).body) as Record<string, unknown>;
      assert.equal(compute['location'], DEFAULT_VM.location);
      assert.equal(compute['vmId'], DEFAULT_VM.vmId);
      assert.equal(compute['tags'], 'environment:emulated;team:platform');
      assert.deepEqual(compute['tagsList'], [
        { name: 'environment', value: 'emulated' },
        { name: 'team', value: 'platform' },
      ]);
      assert.equal(
        Buffer.from(compute['userData'] as string, 'base64').toString(),
        'user-data-of-the-emulated-vm',
      );
    });
  });

  it('has user data from 2021-01-01 on only', async () => {
    await withEmulator({}, async ({ address }) => {
      const before = await get(address, '/compute', '', '2020-12-01');
      const since = await get(address, '/compute', '', '2021-01-01');
      const leafBefore = await get(address, '/compute/userData', '&format=text', '2020-12-01');
      assert.doesNotMatch(before.body, /userData/);
      assert.match(since.body, /userData/);
      assert.equal(leafBefore.status, 404);
    });
  });

  it('gives a leaf as text only', async () => {
    await withEmulator({}, async ({ address }) => {
      const text = await get(address, '/compute/location', '&format=text');
      const byDefault = await get(address, '/compute/location');
      const json = await get(address, '/compute/location', '&format=json');
      assert.deepEqual([text.status, text.body], [200, 'westeurope']);
      assert.equal(text.headers['content-type'], 'text/plain; charset=utf-8');
      assert.equal(byDefault.status, 400);
      assert.equal(json.status, 400);
    });
  });

  it('lists a directory as text', async () => {
    await withEmulator({}, async ({ address }) => {
      assert.equal((await get(address, '', '&format=text')).body, 'compute/\nnetwork/');
      assert.equal((await get(address, '/network/interface', '&format=text')).body, '0/');
      assert.match(
        (await get(address, '/compute', '&format=text')).body,
        /^azEnvironment\n[\s\S]*\nosProfile\//,
      );
    });
  });

  it('is walked by names and indexes', async () => {
    await withEmulator({}, async ({ address }) => {
      const path = '/network/interface/0/ipv4/ipAddress/0/privateIpAddress';
      assert.equal((await get(address, path, '&format=text')).body, '10.1.0.4');
      assert.deepEqual(JSON.parse((await get(address, '/network/interface/0/ipv4/subnet')).body), [
        { address: '10.1.0.0', prefix: '24' },
      ]);
    });
  });

  for (const path of [
    '/compute/none',
    '/network/interface/1',
    '/network/interface/length',
    '/compute/constructor',
    '/compute/location/0',
  ]) {
    it(`has no ${path}`, async () => {
      await withEmulator({}, async ({ address }) => {
        const answer = await get(address, path, '&format=text');
        assert.deepEqual([answer.status, answer.body], [404, '{"error":"Not found"}']);
      });
    });
  }

  it('refuses a format that it does not know', async () => {
    await withEmulator({}, async ({ address }) => {
      assert.equal((await get(address, '', '&format=xml')).status, 400);
    });
  });
});

function leafTypes(tree: unknown): Set<string> {
  if (typeof tree !== 'object' || tree === null) return new Set([typeof tree]);
  return new Set(Object.values(tree).flatMap(child => [...leafTypes(child)]));
}
