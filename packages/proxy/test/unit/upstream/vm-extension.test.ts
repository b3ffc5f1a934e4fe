import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import {
  asVmExtension,
  extensionParameters,
  extensionTarget,
  imdsAnswer,
} from '../../../src/upstream/vm-extension.ts';
import type { UpstreamAnswer } from '../../../src/upstream/upstream-answer.ts';
import { upstreamAnswer } from '../support/fake-imds.ts';

const IMDS_TARGET = '/metadata/identity/oauth2/token?api-version=2018-02-01';
const RESOURCE = 'https://vault.azure.net';
const ENCODED_RESOURCE = 'resource=https%3A%2F%2Fvault.azure.net';
const RESOURCE_ID = '/subscriptions/s/resourceGroups/a b+c&d/providers/x/userAssignedIdentities/id';
const ENCODED_ID = encodeURIComponent(RESOURCE_ID);
const CLIENT_ID = 'a0000000-0000-4000-8000-00000000000c';

const NOW_SECONDS = 1_506_480_573;

/** As documented. */
const DOCUMENT = {
  access_token: 'eyJ0eXAi...',
  refresh_token: '',
  expires_in: '3599',
  expires_on: '1506484173',
  not_before: '1506480273',
  resource: RESOURCE,
  token_type: 'Bearer',
};

function targetOf(query: string): string {
  return extensionTarget(extensionParameters(`${IMDS_TARGET}&${query}`));
}

function translate(
  document: object,
  { status = 200, query = ENCODED_RESOURCE }: { status?: number; query?: string } = {},
): UpstreamAnswer {
  const answer = upstreamAnswer(JSON.stringify(document), { status, contentType: 'application/json' });
  return imdsAnswer(answer, extensionParameters(`${IMDS_TARGET}&${query}`), NOW_SECONDS * 1_000 + 900);
}

function bodyOf({ body }: UpstreamAnswer): Record<string, unknown> {
  return JSON.parse(body.toString()) as Record<string, unknown>;
}

function headersOf({ rawHeaders }: UpstreamAnswer): Record<string, string> {
  return Object.fromEntries(
    rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1]!]] : [])),
  );
}

describe("a token request in the VM extension's protocol", () => {
  for (const [query, expected] of [
    [ENCODED_RESOURCE, ENCODED_RESOURCE],
    [`client_id=${CLIENT_ID}&${ENCODED_RESOURCE}`, `client_id=${CLIENT_ID}&${ENCODED_RESOURCE}`],
    [`object_id=${CLIENT_ID}&${ENCODED_RESOURCE}`, `object_id=${CLIENT_ID}&${ENCODED_RESOURCE}`],
    [`msi_res_id=${ENCODED_ID}&${ENCODED_RESOURCE}`, `msi_res_id=${ENCODED_ID}&${ENCODED_RESOURCE}`],
  ] as const) {
    it(`keeps ${query.slice(0, 60)}`, () => assert.equal(targetOf(query), `/oauth2/token?${expected}`));
  }

  it('never loses an identity because of its spelling', () => {
    for (const name of ['mi_res_id', 'msi-res-id']) {
      assert.equal(
        targetOf(`${ENCODED_RESOURCE}&${name}=${ENCODED_ID}`),
        `/oauth2/token?${ENCODED_RESOURCE}&msi_res_id=${ENCODED_ID}`,
      );
    }
  });

  it('leaves out what the extension does not know', () => {
    const unknown = 'authority=x&bypass_cache=true&claims=x&token_sha256_to_refresh=0&xms_cc=cp1&extra=x';
    assert.equal(targetOf(`${unknown}&${ENCODED_RESOURCE}`), `/oauth2/token?${ENCODED_RESOURCE}`);
  });

  it('repeats an identity that is repeated, so that the extension refuses it', () => {
    assert.equal(targetOf('mi_res_id=a&msi_res_id=b'), '/oauth2/token?msi_res_id=a&msi_res_id=b');
  });
});

describe('an answer of the VM extension', () => {
  it('becomes that of IMDS: all members, in its order, without the empty refresh token', () => {
    const answer = translate(DOCUMENT);
    assert.deepEqual(Object.entries(bodyOf(answer)), [
      ['access_token', 'eyJ0eXAi...'],
      ['expires_in', '3600'],
      ['expires_on', '1506484173'],
      ['ext_expires_in', '3600'],
      ['not_before', '1506480273'],
      ['resource', RESOURCE],
      ['token_type', 'Bearer'],
    ]);
    assert.deepEqual(headersOf(answer), {
      'Content-Type': 'application/json; charset=utf-8',
      Server: 'IMDS (msi-proxy)',
      Date: 'Thu, 01 Jan 2026 00:00:00 GMT',
      'Content-Length': String(answer.body.length),
    });
    assert.equal(answer.contentLength, String(answer.body.length));
  });

  it('counts to the end of a token that the extension has kept, not from its beginning', () => {
    const expiresOn = String(NOW_SECONDS + 60);
    assert.equal(bodyOf(translate({ ...DOCUMENT, expires_on: expiresOn }))['expires_in'], '60');
    assert.equal(bodyOf(translate({ ...DOCUMENT, expires_on: String(NOW_SECONDS - 1) }))['expires_in'], '0');
  });

  it('gets the end of the token from its lifetime where there is nothing else', () => {
    for (const expiresOn of [undefined, '', '11/05/2018 15:18:31 +00:00']) {
      const answer = bodyOf(translate({ ...DOCUMENT, expires_on: expiresOn }));
      assert.deepEqual([answer['expires_in'], answer['expires_on']], ['3599', String(NOW_SECONDS + 3_599)]);
    }
  });

  it('has texts where the extension has numbers, and what is missing from the request', () => {
    const answer = translate(
      { access_token: 'x', expires_in: 3_599, expires_on: NOW_SECONDS + 10, not_before: 5 },
      { query: `${ENCODED_RESOURCE}&client_id=${CLIENT_ID}` },
    );
    assert.deepEqual(bodyOf(answer), {
      access_token: 'x',
      client_id: CLIENT_ID,
      expires_in: '10',
      expires_on: String(NOW_SECONDS + 10),
      ext_expires_in: '10',
      not_before: '5',
      resource: RESOURCE,
      token_type: 'Bearer',
    });
  });

  it('repeats the object id and the resource id of the request, as IMDS does', () => {
    const byObject = bodyOf(translate(DOCUMENT, { query: `${ENCODED_RESOURCE}&object_id=o` }));
    const byResource = bodyOf(translate(DOCUMENT, { query: `${ENCODED_RESOURCE}&mi_res_id=${ENCODED_ID}` }));
    assert.equal(byObject['object_id'], 'o');
    assert.equal(byResource['msi_res_id'], RESOURCE_ID);
  });

  it('never has a refresh token', () => {
    assert.doesNotMatch(translate({ ...DOCUMENT, refresh_token: 'secret' }).body.toString(), /secret/);
  });

  for (const [status, error, expected] of [
    [400, 'bad_request_102', 'invalid_request'],
    [400, 'invalid_resource', 'invalid_resource'],
    [401, 'unknown_source', 'unauthorized_client'],
    [500, 'unknown', 'server_error'],
  ] as const) {
    it(`says ${expected} for ${status} ${error}`, () => {
      const answer = translate({ error, error_description: 'why', extra: 'x' }, { status });
      assert.equal(answer.status, status);
      assert.deepEqual(bodyOf(answer), { error: expected, error_description: 'why' });
      assert.equal(headersOf(answer)['Server'], 'IMDS (msi-proxy)');
    });
  }

  it('is left as it is when it is none', () => {
    const parameters = extensionParameters(`${IMDS_TARGET}&${ENCODED_RESOURCE}`);
    for (const [body, status] of [
      ['<html>', 200],
      ['<html>', 503],
      ['', 500],
      ['[]', 200],
      ['{}', 200],
      ['{}', 400],
      [JSON.stringify({ ...DOCUMENT, access_token: '' }), 200],
      [JSON.stringify({ access_token: 'x' }), 200],
      [JSON.stringify({ error: '' }), 400],
    ] as const) {
      const answer = upstreamAnswer(body, { status });
      assert.equal(imdsAnswer(answer, parameters, 0), answer, body);
    }
  });

  it('is what a sender of requests to IMDS gets', async () => {
    const clock = new FakeClock();
    const asked: unknown[] = [];
    const send = asVmExtension((target, timeoutMillis) => {
      asked.push([target, timeoutMillis]);
      const expiresOn = Math.floor(clock.wallMillis() / 1_000) + 7;
      return Promise.resolve(upstreamAnswer(JSON.stringify({ ...DOCUMENT, expires_on: expiresOn })));
    }, clock);
    const answer = await send(`${IMDS_TARGET}&${ENCODED_RESOURCE}`, 1_234);
    assert.deepEqual(asked, [[`/oauth2/token?${ENCODED_RESOURCE}`, 1_234]]);
    assert.equal(bodyOf(answer)['expires_in'], '7');
  });
});
