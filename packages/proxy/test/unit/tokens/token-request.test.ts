import assert from 'node:assert/strict';
import type { IdentityRef } from '@msi-proxy/shared';
import { parseTarget } from '../../../src/gate/target.ts';
import { tokenRequestOf, type TokenRequest } from '../../../src/tokens/token-request.ts';

const PATH = '/metadata/identity/oauth2/token';
const ID = '00000000-0000-0000-0000-00000000000a';
const HASH = 'a'.repeat(64);

function requestOf(query: string, identity?: IdentityRef): TokenRequest {
  const parsed = parseTarget(`${PATH}?${query}`);
  assert.ok(parsed.ok, query);
  return tokenRequestOf(parsed.query, identity);
}

describe('a token request', () => {
  it('is the same however it is written', () => {
    const spellings = [
      `api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&client_id=${ID}`,
      `resource=https://vault.azure.net&client_id=${ID.toUpperCase()}&api-version=2018-02-01`,
      `client_id=${ID}&api-version=2018-02-01&resource=https%3a%2f%2fvault%2eazure.net`,
    ];
    const targets = new Set(spellings.map(spelling => requestOf(spelling).target));
    assert.deepEqual(
      [...targets],
      [`${PATH}?api-version=2018-02-01&client_id=${ID}&resource=https%3A%2F%2Fvault.azure.net`],
    );
  });

  it('is another one with any other parameter', () => {
    const queries = [
      'api-version=2018-02-01&resource=r',
      'api-version=2019-08-01&resource=r',
      'api-version=2018-02-01&resource=R',
      'api-version=2018-02-01&resource=r%2F',
      `api-version=2018-02-01&resource=r&client_id=${ID}`,
      `api-version=2018-02-01&resource=r&object_id=${ID}`,
      'api-version=2018-02-01&resource=r&claims=c',
      'api-version=2018-02-01&resource=r&authority=a',
      'api-version=2018-02-01&resource=r&xms_cc=cp1',
      'api-version=2018-02-01&resource=r&unknown=',
    ];
    const plain = new Set(queries.map(query => requestOf(query).plainTarget));
    assert.equal(plain.size, queries.length);
  });

  it('is the same with a bypass_cache that is not `true`, which has no meaning', () => {
    for (const value of ['false', '', '1', 'random']) {
      assert.deepEqual(requestOf(`resource=r&bypass_cache=${value}`), requestOf('resource=r'));
    }
  });

  it('with claims asks IMDS as any other does, and is kept for nobody', () => {
    const request = requestOf('resource=r&claims=c');
    assert.ok(!request.bypassesCache && !request.isKept);
  });

  it('cannot say one thing here and another to IMDS', () => {
    // A plus sign is a space to some readers, and an encoded ampersand could become a separator.
    const { target } = requestOf('resource=a+b%26client_id%3Dx');
    assert.equal(target, `${PATH}?resource=a%2Bb%26client_id%3Dx`);
  });

  it('for a fresh token passes the cache, and is kept as the plain one', () => {
    const plain = requestOf('resource=r');
    for (const freshness of ['bypass_cache=true', 'bypass_cache=True', `token_sha256_to_refresh=${HASH}`]) {
      const fresh = requestOf(`resource=r&${freshness}`);
      assert.ok(fresh.bypassesCache && fresh.isKept, freshness);
      assert.equal(fresh.plainTarget, plain.target);
      assert.notEqual(fresh.target, plain.target);
    }
    assert.ok(!plain.bypassesCache);
    assert.equal(requestOf(`resource=r&token_sha256_to_refresh=${HASH}`).refusedTokenHash, HASH);
  });

  it('of a client with capabilities passes the cache, and is kept for nobody', () => {
    const request = requestOf('resource=r&xms_cc=cp1');
    assert.ok(request.bypassesCache && !request.isKept);
  });
});
