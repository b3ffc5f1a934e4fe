import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { FormVerdict, GateVerdict } from '../../../src/gate/gate-verdict.ts';
import { passGate } from '../../../src/gate/request-gate.ts';
import { passForm } from '../../../src/gate/vm-extension.ts';
import { HOSTILE_HEADERS, HOSTILE_QUERIES } from './hostile-targets.ts';

const PATH = '/oauth2/token';
const PARAMETERS =
  'resource=https%3A%2F%2Fvault.azure.net&msi_res_id=%2Fsubscriptions%2Fs%2FresourceGroups%2Frg%2Fx';
const HEADERS = ['Host', 'localhost:50342', 'Metadata', 'true'];
const FORM_TYPE = ['Content-Type', 'application/x-www-form-urlencoded'];

function get(target: string, rawHeaders: readonly string[] = HEADERS): GateVerdict | FormVerdict {
  return passGate({ method: 'GET', target, rawHeaders });
}

function post(headers: readonly string[], target = PATH): GateVerdict | FormVerdict {
  return passGate({ method: 'POST', target, rawHeaders: [...HEADERS, ...headers] });
}

function form(body: string): GateVerdict {
  return passForm(Buffer.from(body));
}

function reasonOf(verdict: GateVerdict | FormVerdict): string {
  return verdict.kind === 'answer' ? verdict.reason : verdict.kind;
}

describe("the gate, for the VM extension's protocol", () => {
  it('makes a query and a form the very request that IMDS takes', () => {
    const atImds = get(`/metadata/identity/oauth2/token?api-version=2018-02-01&${PARAMETERS}`);
    assert.equal(atImds.kind, 'pass');
    assert.deepEqual(get(`${PATH}?${PARAMETERS}`), atImds);
    assert.deepEqual(form(PARAMETERS), atImds);
  });

  it('reads parameters that are not encoded, as curl sends them', () => {
    const verdict = form('resource=https://vault.azure.net/');
    assert.equal(verdict.kind === 'pass' && verdict.request.query[1]?.value, 'https://vault.azure.net/');
  });

  it('leaves it to the policy to miss parameters', () => {
    for (const target of [PATH, `${PATH}?`]) assert.equal(reasonOf(get(target)), 'pass');
  });

  it('answers in the words of the extension what has no Metadata', () => {
    for (const method of ['GET', 'POST', 'HEAD']) {
      for (const rawHeaders of [[], ['Metadata', 'false'], ['Content-Length', '9', ...FORM_TYPE]]) {
        const verdict = passGate({ method, target: PATH, rawHeaders });
        assert.equal(reasonOf(verdict), 'metadata-header-missing');
        assert.deepEqual(verdict.kind === 'answer' && [verdict.answer.status, verdict.answer.body], [
          400,
          '{"error":"bad_request_102","error_description":"Required metadata header not specified"}',
        ]);
      }
    }
  });

  describe('waits for the body of a form', () => {
    for (const type of [
      'application/x-www-form-urlencoded',
      'application/x-www-form-urlencoded;charset=utf-8',
      'application/x-www-form-urlencoded; charset=UTF-8',
      'Application/X-WWW-Form-Urlencoded',
    ]) {
      it(type, () =>
        assert.deepEqual(post(['Content-Length', '85', 'Content-Type', type]), {
          kind: 'form',
          contentLength: 85,
        }),
      );
    }

    for (const headers of [
      [],
      FORM_TYPE,
      ['Content-Length', '0', ...FORM_TYPE],
      ['Content-Length', '4097', ...FORM_TYPE],
      ['Content-Length', '85', 'Content-Length', '85', ...FORM_TYPE],
      ['Content-Length', '85 ', 'Transfer-Encoding', 'chunked', ...FORM_TYPE],
      ['Transfer-Encoding', 'chunked', ...FORM_TYPE],
      ['Content-Length', '85', 'Expect', '100-continue', ...FORM_TYPE],
      ['Content-Length', '85', 'Content-Encoding', 'gzip', ...FORM_TYPE],
      ['Content-Length', '85'],
      ['Content-Length', '85', ...FORM_TYPE, ...FORM_TYPE],
      ['Content-Length', '85', 'Content-Type', 'application/json'],
      ['Content-Length', '85', 'Content-Type', 'multipart/form-data; boundary=x'],
      ['Content-Length', '85', 'Content-Type', 'application/x-www-form-urlencoded; charset=utf-7'],
      ['Content-Length', '85', 'Content-Type', 'application/x-www-form-urlencodedx'],
    ]) {
      it(`but not with ${headers.join(' ') || 'nothing'}`, () =>
        assert.equal(reasonOf(post(headers)), 'body'));
    }

    it('but not with parameters in the target as well', () => {
      const headers = ['Content-Length', '85', ...FORM_TYPE];
      for (const target of [`${PATH}?`, `${PATH}?${PARAMETERS}`, `${PATH}?client_id=x`]) {
        assert.equal(reasonOf(post(headers, target)), 'body');
      }
    });

    it('nowhere else', () => {
      const headers = ['Content-Length', '85', ...FORM_TYPE];
      for (const path of ['/metadata/identity/oauth2/token', '/metadata/instance', '/metadata/versions']) {
        assert.equal(reasonOf(post(headers, path)), 'method');
      }
    });
  });

  it('takes no other method, and says which it takes', () => {
    for (const method of ['HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'get', 'post']) {
      const verdict = passGate({ method, target: PATH, rawHeaders: HEADERS });
      assert.equal(reasonOf(verdict), 'method', method);
      assert.equal(verdict.kind === 'answer' && verdict.answer.headers['Allow'], 'GET, POST');
    }
  });

  it('knows one spelling of the path', () => {
    for (const target of [
      ...['/oauth2/token/', '/oauth2//token', '//oauth2/token', '/OAuth2/token', '/oauth2/Token', '/oauth2'],
      ...['/oauth2\\token', '/oauth2/%74oken', '/x/../oauth2/token', '/oauth2/token;x', '/oauth2/token#'],
      ...['oauth2/token', '/token', '/', 'http://localhost:50342/oauth2/token', '/oauth2/token&resource=x'],
    ]) {
      assert.equal(reasonOf(get(target)), 'path-not-canonical', target);
    }
  });

  describe('refuses parameters that another reader could read otherwise', () => {
    for (const query of [
      ...HOSTILE_QUERIES,
      // The protocol has none; the one for IMDS is added.
      'api-version=2018-02-01',
      'resource=a&API-Version=2018-02-01',
    ]) {
      it(JSON.stringify(query.slice(0, 90)), () => {
        for (const verdict of [get(`${PATH}?${query}`), form(query)]) {
          assert.equal(verdict.kind === 'answer' && verdict.answer.status, 400, reasonOf(verdict));
          assert.match(verdict.kind === 'answer' ? verdict.answer.body : '', /^\{"error":"invalid_request",/);
        }
      });
    }

    for (const body of ['resource=a+b', 'resource=a&x=+', '+', 'resource=\u00e9', 'resource=a\u0000']) {
      it(`a form with ${JSON.stringify(body)}`, () =>
        assert.equal(reasonOf(form(body)), 'query-not-canonical'));
    }
  });

  describe('refuses headers that make a request something else', () => {
    for (const [reason, headers] of HOSTILE_HEADERS) {
      it(JSON.stringify(headers), () =>
        assert.equal(reasonOf(get(`${PATH}?${PARAMETERS}`, [...HEADERS, ...headers])), reason),
      );
    }
  });

  it('passes no form whose target is not that of its own bytes', () => {
    const piece = fc.constantFrom('&', '=', '%', '%2', '%26', '+', ';', '?', '#', ' ', '\r\n', '\u00e9', 'a');
    const name = fc.constantFrom('resource', 'client_id', 'msi_res_id', 'api-version', 'RESOURCE');
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, name), { maxLength: 10 }), pieces => {
        const body = pieces.join('');
        const verdict = form(body);
        if (verdict.kind !== 'pass') return;
        const { target, path, method, contentLength } = verdict.request;
        const separator = body === '' ? '' : '&';
        assert.equal(target, `/metadata/identity/oauth2/token?api-version=2018-02-01${separator}${body}`);
        assert.deepEqual([method, path, contentLength], ['GET', '/metadata/identity/oauth2/token', 0]);
        assert.deepEqual(get(target), verdict);
      }),
      { numRuns: 3_000 },
    );
  });
});
