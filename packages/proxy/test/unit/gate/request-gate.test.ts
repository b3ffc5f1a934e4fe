import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { FormVerdict, GateVerdict } from '../../../src/gate/gate-verdict.ts';
import { passGate } from '../../../src/gate/request-gate.ts';
import { METADATA_REQUESTS } from '../sdk-contract/metadata-requests.ts';
import { PROBES } from '../sdk-contract/probes.ts';
import { TOKEN_CLIENTS } from '../sdk-contract/token-requests.ts';
import { parsed } from '../sdk-contract/wire.ts';
import { HOSTILE_HEADERS, HOSTILE_PATHS, HOSTILE_QUERIES, HTTP2_OFFER } from './hostile-targets.ts';

const TOKEN = '/metadata/identity/oauth2/token';
const QUERY = 'api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F';
const METADATA = ['Host', '169.254.169.254', 'Metadata', 'true'];

function get(target: string, rawHeaders: readonly string[] = METADATA): GateVerdict | FormVerdict {
  return passGate({ method: 'GET', target, rawHeaders });
}

function reasonOf(verdict: GateVerdict | FormVerdict): string {
  return verdict.kind === 'answer' ? verdict.reason : verdict.kind;
}

function bodyOf(verdict: GateVerdict | FormVerdict): Record<string, unknown> {
  assert.ok(verdict.kind === 'answer');
  return JSON.parse(verdict.answer.body) as Record<string, unknown>;
}

describe('the gate', () => {
  describe('lets pass what SDKs send', () => {
    const tokenRequests = TOKEN_CLIENTS.flatMap(({ client, requests }) =>
      requests.map(({ variant, bytes }) => ({ client: `${client}, ${variant}`, bytes })),
    );
    for (const { client, bytes } of [...tokenRequests, ...METADATA_REQUESTS]) {
      it(client, () => {
        const request = parsed(bytes);
        const verdict = passGate(request);
        assert.equal(reasonOf(verdict), 'pass');
        assert.equal(verdict.kind === 'pass' && verdict.request.target, request.target);
      });
    }
  });

  it("takes msal-node's spelling of the token path for the path itself, which alone goes upstream", () => {
    const verdict = get(`${TOKEN}/?${QUERY}`);
    assert.ok(verdict.kind === 'pass');
    assert.equal(verdict.request.target, `${TOKEN}?${QUERY}`);
    assert.equal(verdict.request.path, TOKEN);
    assert.equal(verdict.request.endpoint.group, 'token');
  });

  describe('answers the probes of SDKs itself', () => {
    for (const { client, bytes, expected } of PROBES) {
      for (const method of ['GET', 'HEAD', 'POST']) {
        it(`${method} of ${client}`, () => {
          const verdict = passGate({ ...parsed(bytes), method });
          assert.equal(reasonOf(verdict), 'metadata-header-missing');
          assert.equal(verdict.kind === 'answer' && verdict.answer.status, expected ? 400 : 404);
        });
      }
    }

    it('in the words of IMDS', () => {
      assert.deepEqual(bodyOf(get(TOKEN, [])), {
        error: 'invalid_request',
        error_description: 'Required metadata header not specified',
      });
    });

    it("as an IMDS without MSAL's newer protocol, whose credentials it does not issue", () => {
      for (const [method, path] of [
        ['GET', 'getplatformmetadata?cred-api-version=2.0'],
        ['GET', `getplatformmetadata?cred-api-version=2.0&client_id=x`],
        ['POST', 'issuecredential?cred-api-version=2.0'],
        ['POST', 'credential?cred-api-version=1.0'],
      ] as const) {
        const rawHeaders = ['Host', '169.254.169.254', ...(method === 'POST' ? ['Content-Length', '1'] : [])];
        const verdict = passGate({ method, target: `/metadata/identity/${path}`, rawHeaders });
        assert.equal(reasonOf(verdict), 'metadata-header-missing');
        assert.equal(verdict.kind === 'answer' && verdict.answer.status, 404);
        assert.deepEqual(bodyOf(verdict), { error: 'not_found', error_description: 'Not found' });
      }
    });

    it('also where nothing is known to be', () => {
      for (const path of ['/metadata/identity', '/metadata/identity/x', '/metadata/x']) {
        assert.equal(reasonOf(get(path, [])), 'metadata-header-missing');
      }
    });

    it('in the other shape outside of /metadata/identity', () => {
      const verdict = get('/metadata/instance?api-version=2021-02-01', []);
      assert.deepEqual(bodyOf(verdict), { error: 'Bad request: . Required metadata header not specified' });
    });

    it('never with a text that means "no identity here"', () => {
      assert.doesNotMatch(JSON.stringify(get(TOKEN, [])), /Identity not found/);
    });
  });

  describe('requires the Metadata header as IMDS does', () => {
    for (const [value, expected] of [
      ['true', 'pass'],
      ['TRUE', 'pass'],
      [' true ', 'pass'],
      ['false', 'metadata-header-missing'],
      ['', 'metadata-header-missing'],
      ['"true"', 'metadata-header-missing'],
      ['true, true', 'metadata-header-missing'],
    ] as const) {
      it(`"${value}": ${expected}`, () =>
        assert.equal(reasonOf(get(`${TOKEN}?${QUERY}`, ['Metadata', value])), expected));
    }

    it('refuses two of them', () =>
      assert.equal(
        reasonOf(get(TOKEN, ['Metadata', 'true', 'metadata', 'true'])),
        'metadata-header-missing',
      ));
  });

  describe('refuses targets that another reader could read otherwise', () => {
    for (const path of HOSTILE_PATHS) {
      it(JSON.stringify(path.slice(0, 90)), () => {
        for (const target of [path, `${path}?${QUERY}`]) {
          for (const method of ['GET', 'HEAD', 'POST']) {
            const verdict = passGate({ method, target, rawHeaders: METADATA });
            assert.equal(reasonOf(verdict), 'path-not-canonical');
            assert.equal(verdict.kind === 'answer' && verdict.answer.status, 400);
          }
        }
      });
    }
    for (const query of HOSTILE_QUERIES) {
      it(JSON.stringify(`?${query}`.slice(0, 90)), () => {
        for (const path of [TOKEN, '/metadata/instance', '/metadata/versions', '/.msi-proxy/ready']) {
          const verdict = get(`${path}?${query}`);
          assert.equal(verdict.kind === 'answer' && verdict.answer.status, 400, reasonOf(verdict));
        }
      });
    }
  });

  describe('refuses headers that make a request something else', () => {
    for (const [reason, headers] of HOSTILE_HEADERS) {
      it(JSON.stringify(headers), () => {
        for (const path of [`${TOKEN}?${QUERY}`, '/metadata/instance?api-version=2021-02-01']) {
          const verdict = get(path, [...METADATA, ...headers]);
          assert.equal(reasonOf(verdict), reason);
          assert.equal(verdict.kind === 'answer' && verdict.answer.status, 400);
        }
      });
    }
  });

  describe('ignores an offer of HTTP/2', () => {
    const target = `${TOKEN}?${QUERY}`;

    it('with a GET, in any case and order of what Connection lists', () => {
      for (const connection of ['Upgrade, HTTP2-Settings', 'http2-settings,upgrade']) {
        const offer = ['Connection', connection, ...HTTP2_OFFER.slice(2)];
        assert.equal(reasonOf(get(target, [...METADATA, ...offer, 'Content-Length', '0'])), 'pass');
      }
    });

    it('but not with other methods', () => {
      for (const [method, path] of [
        ['HEAD', target],
        ['POST', '/metadata/scheduledevents?api-version=2020-07-01'],
      ] as const) {
        const rawHeaders = [...METADATA, ...HTTP2_OFFER, 'Content-Length', method === 'POST' ? '57' : '0'];
        assert.equal(reasonOf(passGate({ method, target: path, rawHeaders })), 'upgrade');
      }
    });
  });

  describe('knows no endpoint that is not listed', () => {
    for (const path of [
      '/metadata',
      '/metadata/reprovisiondata',
      '/metadata/identity',
      '/metadata/identity/oauth2',
      '/metadata/identity/Oauth2/token',
      '/metadata/identity/oauth2/token/x',
      '/metadata/Identity/oauth2/token',
      '/metadata/instances',
      '/metadata/instance-x',
      '/metadata/attested',
      '/metadata/scheduledevents/x',
      '/metadata/maintenance',
      '/metadata/loadbalancer/x',
    ]) {
      it(path, () => assert.equal(reasonOf(get(`${path}?api-version=2021-02-01`)), 'unknown-endpoint'));
    }

    it('but takes user data in any case and at any depth for user data', () => {
      for (const leaf of ['userData', 'USERDATA', 'customData', 'userdata/', 'x/UserData/y']) {
        const verdict = get(`/metadata/instance/compute/${leaf}?api-version=2021-02-01&format=text`);
        assert.equal(verdict.kind === 'pass' && verdict.request.endpoint.group, 'userdata', leaf);
      }
    });
  });

  describe('lets no method and no body pass that IMDS does not take', () => {
    for (const method of [
      'POST',
      'PUT',
      'DELETE',
      'PATCH',
      'OPTIONS',
      'TRACE',
      'CONNECT',
      'PROPFIND',
      'get',
    ]) {
      it(`${method} of a token`, () => {
        const verdict = passGate({ method, target: `${TOKEN}?${QUERY}`, rawHeaders: METADATA });
        assert.equal(verdict.kind === 'answer' && verdict.answer.status, 405);
      });
    }

    it('POST of a credential, which is not served yet', () => {
      for (const path of ['issuecredential', 'credential']) {
        const verdict = passGate({
          method: 'POST',
          target: `/metadata/identity/${path}?cred-api-version=2.0`,
          rawHeaders: [...METADATA, 'Content-Length', '20', 'Content-Type', 'application/json'],
        });
        assert.equal(reasonOf(verdict), 'method');
      }
    });

    it('and says which are allowed', () => {
      for (const [target, allow] of [
        [TOKEN, 'GET, HEAD'],
        ['/metadata/scheduledevents', 'GET, HEAD, POST'],
        ['/.msi-proxy/ready', 'GET, HEAD'],
      ] as const) {
        const verdict = passGate({ method: 'PUT', target, rawHeaders: METADATA });
        assert.equal(verdict.kind === 'answer' && verdict.answer.headers['Allow'], allow);
      }
    });

    const acknowledge = (...headers: string[]) =>
      passGate({
        method: 'POST',
        target: '/metadata/scheduledevents?api-version=2020-07-01',
        rawHeaders: [...METADATA, ...headers],
      });

    it('but an acknowledgement of scheduled events with a bounded length', () => {
      const verdict = acknowledge(
        'Content-Length',
        '57',
        'Content-Type',
        'application/x-www-form-urlencoded',
      );
      assert.equal(verdict.kind === 'pass' && verdict.request.endpoint.group, 'scheduledevents-ack');
      assert.equal(verdict.kind === 'pass' && verdict.request.contentLength, 57);
    });
    for (const headers of [
      [],
      ['Content-Length', '0'],
      ['Content-Length', '4097'],
      ['Transfer-Encoding', 'chunked'],
      ['Content-Length', '57', 'Content-Length', '57'],
      ['Content-Length', '57', 'Transfer-Encoding', 'chunked'],
      ['Content-Length', '57', 'Expect', '100-continue'],
      ['Content-Length', '57 '.repeat(2)],
    ]) {
      it(`no acknowledgement with ${headers.join(': ') || 'no length'}`, () =>
        assert.equal(reasonOf(acknowledge(...headers)), 'body'));
    }
  });

  it('refuses a Host that somebody else may have pointed here', () => {
    for (const host of [
      'evil.example',
      'evil.example:80',
      '169.254.169.254.nip.example',
      'a b',
      '',
      '[::1',
      '@x',
      '[msi-proxy]',
      '[169.254.169.254]',
      '169.254.169.254.',
      '169.254.169.254:80:80',
    ]) {
      assert.equal(reasonOf(get(`${TOKEN}?${QUERY}`, ['Host', host, 'Metadata', 'true'])), 'host', host);
    }
    for (const host of [
      '169.254.169.254',
      '169.254.169.254:80',
      'localhost:8080',
      'msi-proxy',
      'my_proxy-1:80',
      '[::1]:80',
    ]) {
      assert.equal(reasonOf(get(`${TOKEN}?${QUERY}`, ['Host', host, 'Metadata', 'true'])), 'pass', host);
    }
    assert.equal(reasonOf(get(`${TOKEN}?${QUERY}`, ['Host', 'a', 'Host', 'a', 'Metadata', 'true'])), 'host');
  });

  it('lets the ready path pass without Metadata, and as strictly otherwise', () => {
    const host = ['Host', '169.254.169.254'];
    for (const target of ['/.msi-proxy/ready', '/.msi-proxy/ready?', '/.msi-proxy/ready?from=monitor']) {
      const verdict = get(target, host);
      assert.equal(verdict.kind === 'pass' && verdict.request.endpoint.group, 'ready');
    }
    assert.equal(reasonOf(get('/.msi-proxy/ready', [...host, 'X-Forwarded-For', 'x'])), 'forwarded-for');
    assert.equal(reasonOf(get('/.msi-proxy/ready', ['Host', 'evil.example'])), 'host');
    assert.equal(reasonOf(get('/.msi-proxy/ready', [...host, 'Content-Length', '1'])), 'body');
  });

  it('passes only targets of one spelling, and leaves them as they are', () => {
    const piece = fc.constantFrom(
      '/',
      '//',
      '\\',
      '.',
      '..',
      '%2f',
      '%5c',
      '%00',
      ';',
      '?',
      '&',
      '=',
      '#',
      '%',
      ' ',
      '\u00e9',
      'metadata',
      'METADATA',
      'identity',
      'oauth2',
      'token',
      'instance',
      'userData',
      'client_id',
      'resource',
      'api-version=1',
      'versions',
    );
    const prefix = fc.constantFrom('', '/metadata', '/metadata/instance', TOKEN, `${TOKEN}?resource=x`);
    fc.assert(
      fc.property(prefix, fc.array(piece, { maxLength: 8 }), (start, pieces) => {
        const target = start + pieces.join('');
        const verdict = get(target);
        if (verdict.kind !== 'pass') return;
        // The one exception, which has a test of its own.
        assert.equal(
          verdict.request.target,
          target.replace(/^(\/metadata\/identity\/oauth2\/token)\/(?=\?|$)/, '$1'),
        );
        assert.match(target, /^\/metadata(?:\/[A-Za-z0-9_-]+)*\/?(?:\?[A-Za-z0-9._~!$&'()*+,=:@/?%-]*)?$/);
        const names = verdict.request.query.map(({ name }) => name.toLowerCase());
        assert.equal(new Set(names).size, names.length);
      }),
      { numRuns: 5_000 },
    );
  });
});
