import assert from 'node:assert/strict';
import {
  badRequest,
  forbidden,
  identityNotFound,
  internalError,
  metadataHeaderMissing,
  methodNotAllowed,
  notFound,
  probeAnswer,
  serviceUnavailable,
} from '../../../src/http/imds-answers.ts';
import type { LocalAnswer } from '../../../src/http/local-answer.ts';

const SHAPES = ['identity', 'instance'] as const;

const ANSWERS = SHAPES.flatMap(shape => [
  metadataHeaderMissing(shape),
  badRequest(shape, 'x'),
  notFound(shape),
  methodNotAllowed(shape, 'GET'),
  forbidden(shape, 'x'),
  serviceUnavailable(shape, 'x'),
  internalError(shape),
  identityNotFound(),
]);

function summaryOf({ status, body }: LocalAnswer): string {
  return `${status} ${body}`;
}

describe("the proxy's own answers", () => {
  it('have the very texts that SDKs compare with', () => {
    assert.equal(
      summaryOf(metadataHeaderMissing('identity')),
      '400 {"error":"invalid_request","error_description":"Required metadata header not specified"}',
    );
    assert.equal(
      summaryOf(metadataHeaderMissing('instance')),
      '400 {"error":"Bad request: . Required metadata header not specified"}',
    );
    assert.equal(
      summaryOf(identityNotFound()),
      '400 {"error":"invalid_request","error_description":"Identity not found"}',
    );
    for (const path of ['', '?api-version=2018-02-01', '/x', '/credentials', '/oauth2/token']) {
      const answer = probeAnswer(`/metadata/identity${path}`);
      assert.equal(summaryOf(answer), summaryOf(metadataHeaderMissing('identity')));
    }
    for (const path of ['getplatformmetadata?cred-api-version=2.0', 'issuecredential', 'credential']) {
      assert.equal(summaryOf(probeAnswer(`/metadata/identity/${path}`)), summaryOf(notFound('identity')));
    }
    for (const target of ['/oauth2/token', '/oauth2/token?resource=x']) {
      assert.equal(
        summaryOf(probeAnswer(target)),
        '400 {"error":"bad_request_102","error_description":"Required metadata header not specified"}',
      );
    }
    assert.equal(summaryOf(probeAnswer('/metadata/versions')), summaryOf(metadataHeaderMissing('instance')));
    // As captured: Content-Length 68.
    assert.equal(Buffer.byteLength(identityNotFound().body), 68);
    assert.equal(summaryOf(notFound('instance')), '404 {"error":"Not found"}');
  });

  it("have IMDS's two shapes", () => {
    assert.deepEqual(JSON.parse(forbidden('identity', 'no').body), {
      error: 'access_denied',
      error_description: 'no',
    });
    assert.deepEqual(JSON.parse(forbidden('instance', 'no').body), { error: 'no' });
  });

  it('are JSON, and say so as IMDS does', () => {
    for (const { headers, body } of ANSWERS) {
      assert.equal(headers['Content-Type'], 'application/json; charset=utf-8');
      assert.equal(typeof (JSON.parse(body) as { error: unknown }).error, 'string');
    }
  });

  it('have no status that .NET takes for a gateway without IMDS behind it', () => {
    for (const { status } of ANSWERS) assert.ok(![502, 504].includes(status), String(status));
  });

  it('deny without the word that @azure/identity takes for a missing IMDS', () => {
    for (const shape of SHAPES) {
      assert.doesNotMatch(forbidden(shape, 'of "Unreachable-db"; UNREACHABLE').body, /unreachable/i);
    }
  });

  it('tell the methods that are allowed', () =>
    assert.equal(methodNotAllowed('identity', 'GET, HEAD').headers['Allow'], 'GET, HEAD'));

  it('end the connection where the next try should reach another proxy', () => {
    assert.equal(serviceUnavailable('identity', 'x').headers['Connection'], 'close');
    assert.equal(internalError('identity').headers['Connection'], 'close');
  });
});
