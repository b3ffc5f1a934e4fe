import assert from 'node:assert/strict';
import fc from 'fast-check';
import { passGate, type GateVerdict } from '../../../src/gate/request-gate.ts';

const TOKEN = '/metadata/identity/oauth2/token';
const QUERY = 'api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F';
const METADATA = ['Host', '169.254.169.254', 'Metadata', 'true'];

function get(target: string, rawHeaders: readonly string[] = METADATA): GateVerdict {
  return passGate({ method: 'GET', target, rawHeaders });
}

function reasonOf(verdict: GateVerdict): string {
  return verdict.kind === 'pass' ? 'pass' : verdict.reason;
}

function bodyOf(verdict: GateVerdict): Record<string, unknown> {
  assert.ok(verdict.kind === 'answer');
  return JSON.parse(verdict.answer.body) as Record<string, unknown>;
}

describe('the gate', () => {
  describe('lets pass what SDKs send', () => {
    const requests: [name: string, target: string, headers?: string[]][] = [
      [
        'msal-node, with a Content-Type on a GET without body',
        `${TOKEN}?${QUERY}`,
        [
          'Metadata',
          'true',
          'Content-Type',
          'application/x-www-form-urlencoded',
          'x-client-SKU',
          'msal.js.node',
        ],
      ],
      [
        'WALinuxAgent, with a capital True',
        '/metadata/instance/compute?api-version=2018-02-01',
        ['Metadata', 'True'],
      ],
      [
        'curl, with a resource that is not encoded',
        `${TOKEN}?api-version=2018-02-01&resource=https://vault.azure.net`,
      ],
      ['a client that sends Content-Length: 0', `${TOKEN}?${QUERY}`, [...METADATA, 'Content-Length', '0']],
      [
        'Hadoop, which closes the connection',
        `${TOKEN}?${QUERY}&bypass_cache=true`,
        [...METADATA, 'Connection', 'close'],
      ],
      ['cloud-init', '/metadata/instance?api-version=2021-08-01&extended=true'],
      ['.NET region discovery', '/metadata/instance/compute/location?api-version=2021-02-01&format=text'],
      ['versions, which need no api-version', '/metadata/versions'],
      ['a folder listing', '/metadata/instance/?api-version=2021-02-01'],
      [
        'a client that reaches the proxy by its container name',
        `${TOKEN}?${QUERY}`,
        ['Host', 'msi-proxy', 'Metadata', 'true'],
      ],
      ['a client id', `${TOKEN}?${QUERY}&client_id=00000000-0000-0000-0000-000000000000`],
    ];
    for (const [name, target, headers] of requests) {
      it(name, () => {
        const verdict = get(target, headers);
        assert.equal(reasonOf(verdict), 'pass');
        assert.equal(verdict.kind === 'pass' && verdict.request.target, target);
      });
    }
  });

  describe('answers the probes of SDKs itself', () => {
    const probes = [
      TOKEN,
      `${TOKEN}?${QUERY}`,
      `${TOKEN}?api-version=2018-02-01`,
      `${TOKEN}?${QUERY}&msi-res-id=x`,
    ];
    for (const target of probes) {
      for (const method of ['GET', 'HEAD', 'POST']) {
        it(`${method} ${target} without Metadata`, () => {
          const verdict = passGate({ method, target, rawHeaders: ['Host', '169.254.169.254'] });
          assert.equal(verdict.kind === 'answer' && verdict.answer.status, 400);
          assert.deepEqual(bodyOf(verdict), {
            error: 'invalid_request',
            error_description: 'Required metadata header not specified',
          });
        });
      }
    }

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

  it('refuses X-Forwarded-For in any case and with any value', () => {
    for (const name of ['X-Forwarded-For', 'x-forwarded-for', 'X-FORWARDED-FOR']) {
      for (const value of ['10.0.0.1', '']) {
        const verdict = get(`${TOKEN}?${QUERY}`, [...METADATA, name, value]);
        assert.equal(reasonOf(verdict), 'forwarded-for');
        assert.equal(verdict.kind === 'answer' && verdict.answer.status, 400);
      }
    }
  });

  describe('refuses targets that another reader could read otherwise', () => {
    const paths = [
      // The vectors of CVE-2022-23551.
      '/metadata/identity\\oauth2/token/',
      '/metadata/identity/oauth2\\token/',
      '/metadata/identity\\oauth2\\token/',
      '/metadata/identity/\\oauth2\\token/',
      '/metadata/identity\\\\\\oauth2\\\\token/',
      '\\metadata\\identity\\oauth2\\token',
      '/metadata/identity/oauth2/token/',
      '/metadata/identity//oauth2/token',
      '//metadata/identity/oauth2/token',
      '/metadata/./identity/oauth2/token',
      '/metadata/instance/../identity/oauth2/token',
      '/metadata/identity/oauth2/token/.',
      '/metadata/identity/oauth2/token/..',
      '/metadata/instance/..%2fidentity/oauth2/token',
      '/metadata/identity%2foauth2%2ftoken',
      '/metadata/identity%2Foauth2/token',
      '/metadata/identity%5coauth2%5ctoken',
      '/metadata%2fidentity/oauth2/token',
      '/metadata/%69dentity/oauth2/token',
      '/metadata/identity/oauth2/token%00',
      '/metadata/identity/oauth2/token%20',
      '/metadata/identity/oauth2/token%0d%0aX: y',
      '/metadata/identity/oauth2/%2e%2e/oauth2/token',
      '/metadata/identity;x=y/oauth2/token',
      '/metadata/identity/oauth2/token;',
      '/METADATA/identity/oauth2/token',
      '/Metadata/instance',
      '/metadata/identity/oauth2/token#x',
      '/metadata/identity/oauth2/tok\u00e9n',
      '/metadata/identity/oauth2/token\u0000',
      '/metadata/identity/oauth2/token\t',
      '/metadata/identity /oauth2/token',
      'http://169.254.169.254/metadata/identity/oauth2/token',
      'http://evil.example/metadata/identity/oauth2/token',
      '169.254.169.254:80',
      '*',
      '',
      'metadata/identity/oauth2/token',
      '/',
      '/metadata/instance//',
      '/metadata/instance/compute/.userData',
      '/metadata/instance/compute/userData.',
      '/.msi-proxy//ready',
      '/.msi-proxy/../metadata/versions',
      `/metadata/instance/${'a'.repeat(5000)}`,
    ];
    const queries = [
      'api-version=2018-02-01&api-version=2021-02-01',
      'resource=a&resource=b',
      'client_id=a&Client_Id=b',
      'resource=a&RESOURCE=b',
      'client%5Fid=a',
      'resource=a&&client_id=b',
      '=x',
      'a b=c',
      'resource=a;client_id=b',
      'resource=%zz',
      'resource=%4',
      'resource=%ff',
      'resource=%00',
      'resource=%0d%0a',
      'resource=a#b',
      'resource=a\\b',
      'resource=é',
      'resource[]=a',
      'resource="a"',
      'resource=<a>',
      '&resource=a',
      'resource=a&',
      'resource=a?b&client_id=c%',
      `resource=${'a'.repeat(5000)}`,
    ];
    for (const path of paths) {
      for (const suffix of ['', `?${QUERY}`]) {
        it(JSON.stringify(`${path}${suffix}`.slice(0, 90)), () => {
          const verdict = get(`${path}${suffix}`);
          assert.ok(
            verdict.kind === 'answer' && [400, 404].includes(verdict.answer.status),
            reasonOf(verdict),
          );
        });
      }
    }
    for (const query of queries) {
      for (const path of [TOKEN, '/metadata/instance']) {
        it(JSON.stringify(`${path}?${query}`.slice(0, 90)), () => {
          const verdict = get(`${path}?${query}`);
          assert.equal(verdict.kind === 'answer' && verdict.answer.status, 400, reasonOf(verdict));
        });
      }
    }
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
    for (const header of [
      ['Content-Length', '1'],
      ['Content-Length', '-1'],
      ['Content-Length', '0x0'],
      ['Content-Length', ''],
      ['Content-Length', '0', 'Content-Length', '0'],
      ['Transfer-Encoding', 'chunked'],
      ['Transfer-Encoding', 'identity'],
      ['Trailer', 'X'],
      ['Expect', '100-continue'],
      ['Upgrade', 'websocket'],
    ]) {
      it(`a GET with ${header.join(': ')}`, () =>
        assert.equal(reasonOf(get(`${TOKEN}?${QUERY}`, [...METADATA, ...header])), 'body'));
    }

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
    ]) {
      assert.equal(reasonOf(get(`${TOKEN}?${QUERY}`, ['Host', host, 'Metadata', 'true'])), 'host', host);
    }
    for (const host of ['169.254.169.254', '169.254.169.254:80', 'localhost:8080', 'msi-proxy', '[::1]:80']) {
      assert.equal(reasonOf(get(`${TOKEN}?${QUERY}`, ['Host', host, 'Metadata', 'true'])), 'pass', host);
    }
    assert.equal(reasonOf(get(`${TOKEN}?${QUERY}`, ['Host', 'a', 'Host', 'a', 'Metadata', 'true'])), 'host');
  });

  it('lets the ready path pass without Metadata', () => {
    const verdict = get('/.msi-proxy/ready', ['Host', '169.254.169.254']);
    assert.equal(verdict.kind === 'pass' && verdict.request.endpoint.group, 'ready');
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
        assert.equal(verdict.request.target, target);
        assert.match(target, /^\/metadata(?:\/[A-Za-z0-9_-]+)*\/?(?:\?[A-Za-z0-9._~!$&'()*+,=:@/?%-]*)?$/);
        const names = verdict.request.query.map(({ name }) => name.toLowerCase());
        assert.equal(new Set(names).size, names.length);
      }),
      { numRuns: 5_000 },
    );
  });
});
