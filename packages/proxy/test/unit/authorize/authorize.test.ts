import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatIdentity, parseClientPolicy, type ClientPolicy, type Grant } from '@msi-proxy/shared';
import { authorize, type AuthorizeOptions, type Decision } from '../../../src/authorize/authorize.ts';
import { passGate } from '../../../src/gate/request-gate.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01';
const VAULT = 'resource=https%3A%2F%2Fvault.azure.net';
const ORDERS = '11111111-1111-1111-1111-111111111111';
const OTHER = '22222222-2222-2222-2222-222222222222';
const ORDERS_RESOURCE_ID = `/subscriptions/${OTHER}/resourceGroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/orders`;

function policy(labels: Record<string, string> = {}): ClientPolicy {
  const prefixed = Object.fromEntries(
    Object.entries(labels).map(([key, value]) => [`com.msi-proxy.${key}`, value]),
  );
  const result = parseClientPolicy(prefixed);
  assert.ok(result.ok, JSON.stringify(result));
  return result.policy;
}

const ENFORCED: AuthorizeOptions = { mode: 'enforce', requireIdentity: false };

function ask(
  target: string,
  grant: Grant | ClientPolicy | undefined,
  requireIdentity = false,
  mode: AuthorizeOptions['mode'] = 'enforce',
): Decision {
  const verdict = passGate({ method: 'GET', target, rawHeaders: ['Metadata', 'true'] });
  assert.ok(verdict.kind === 'pass', target);
  const full = grant === undefined || 'kind' in grant ? grant : ({ kind: 'client', policy: grant } as const);
  return authorize(verdict.request, full, { mode, requireIdentity });
}

function verdictOf(decision: Decision): string {
  return decision.kind === 'allow'
    ? `allow ${decision.target}`
    : `${decision.answer.status} ${decision.reason}`;
}

/** Percent-encodes some characters, some of them twice, and changes the case of some. */
function disguised(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const trick = fc.constantFrom('encode', 'encode twice', 'upper', 'lower');
  return fc
    .tuple(text, fc.array(fc.tuple(fc.nat({ max: 60 }), trick), { maxLength: 2 }))
    .map(([plain, tricks]) => {
      const characters = Array.from(plain);
      for (const [position, kind] of tricks) {
        const character = characters[position];
        if (character?.length !== 1) continue;
        const hex = character.charCodeAt(0).toString(16).padStart(2, '0');
        const disguises = {
          encode: `%${hex}`,
          'encode twice': `%25${hex}`,
          upper: character.toUpperCase(),
          lower: character.toLowerCase(),
        };
        characters[position] = disguises[kind];
      }
      return characters.join('');
    });
}

const parameterName = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('resource', 'client_id', 'object_id', 'msi_res_id', 'mi_res_id') },
  disguised(
    fc.constantFrom(
      ...['resource', 'client_id', 'object_id', 'msi_res_id', 'mi_res_id', 'msi-res-id', 'principal_id'],
      ...['clientid', 'authority', 'claims', 'bypass_cache', 'x'],
    ),
  ),
);

const parameterValue = fc.oneof(
  fc.constantFrom('https://vault.azure.net', ORDERS, OTHER, ORDERS_RESOURCE_ID),
  disguised(
    fc.constantFrom(
      ...['https://vault.azure.net', 'https://vault.azure.net/', 'https://graph.microsoft.com', ''],
      ...['https://vault.azure.net+', 'https%3A%2F%2Fvault.azure.net', `x&client_id=${OTHER}`],
      ...[
        ORDERS,
        OTHER,
        ORDERS_RESOURCE_ID,
        encodeURIComponent(ORDERS_RESOURCE_ID),
        `${ORDERS};client_id=${OTHER}`,
      ],
    ),
  ),
);

describe('authorisation', () => {
  describe('of a container without the label', () => {
    for (const grant of [undefined, { kind: 'unlabelled' } as const]) {
      it(`answers token requests like a VM without an identity (${grant?.kind ?? 'nobody known'})`, () => {
        const decision = ask(`${TOKEN}&${VAULT}`, grant);
        assert.equal(verdictOf(decision), '400 not-labelled');
        assert.deepEqual(JSON.parse(decision.kind === 'deny' ? decision.answer.body : ''), {
          error: 'invalid_request',
          error_description: 'Identity not found',
        });
      });

      it(`refuses everything else (${grant?.kind ?? 'nobody known'})`, () => {
        for (const path of ['instance', 'versions', 'attested/document', 'scheduledevents', 'loadbalancer']) {
          assert.equal(verdictOf(ask(`/metadata/${path}?api-version=2021-02-01`, grant)), '403 not-labelled');
        }
      });
    }
  });

  it('gives nothing by a grant of a kind that only a later monitor knows', () => {
    const later = { kind: 'lent', policy: {} } as unknown as Grant;
    assert.deepEqual(ask(`${TOKEN}&${VAULT}`, later), ask(`${TOKEN}&${VAULT}`, { kind: 'unlabelled' }));
  });

  it('tells a labelled container that is refused why, without a word that SDKs misread', () => {
    const decision = ask(`${TOKEN}&${VAULT}`, {
      kind: 'refused',
      reason: 'shares the network of "unreachable-db"',
    });
    assert.equal(verdictOf(decision), '403 client-refused');
    assert.match(JSON.stringify(decision), /shares the network/);
    assert.doesNotMatch(JSON.stringify(decision), /unreachable/i);
  });

  describe('of endpoint groups', () => {
    it('grants the defaults and no more', () => {
      for (const [path, expected] of [
        ['/metadata/versions', 'allow'],
        ['/metadata/instance?api-version=2021-02-01', 'allow'],
        ['/metadata/loadbalancer?api-version=2021-02-01', 'allow'],
        ['/metadata/identity/info?api-version=2018-02-01', 'allow'],
        ['/metadata/instance/compute/userData?api-version=2021-02-01&format=text', '403'],
        ['/metadata/attested/document?api-version=2021-02-01', '403'],
        ['/metadata/scheduledevents?api-version=2020-07-01', '403'],
        ['/metadata/identity/getplatformmetadata?cred-api-version=2.0', '404'],
      ] as const) {
        assert.equal(verdictOf(ask(path, policy())).split(' ')[0], expected, path);
      }
    });

    it('takes user data out of instance answers unless it is granted', () => {
      const instance = '/metadata/instance?api-version=2021-02-01';
      const without = ask(instance, policy());
      const withIt = ask(instance, policy({ endpoints: 'instance,userdata' }));
      assert.equal(without.kind === 'allow' && without.userData, 'stripped');
      assert.equal(withIt.kind === 'allow' && withIt.userData, 'granted');
    });

    it('takes away what the label does not list', () => {
      const decision = ask('/metadata/instance?api-version=2021-02-01', policy({ endpoints: 'token' }));
      assert.equal(verdictOf(decision), '403 endpoint-not-granted');
      assert.match(JSON.stringify(decision), /com\.msi-proxy\.endpoints/);
    });
  });

  describe('of identities', () => {
    const own = policy({ identity: ORDERS });

    it('gives a request that names none the default, and leaves the rest of it as it is', () =>
      assert.equal(verdictOf(ask(`${TOKEN}&${VAULT}`, own)), `allow ${TOKEN}&${VAULT}&client_id=${ORDERS}`));

    it('adds the default in the parameter of its kind', () => {
      for (const [identity, added] of [
        [`object:${OTHER}`, `&object_id=${OTHER}`],
        [ORDERS_RESOURCE_ID, `&msi_res_id=${encodeURIComponent(ORDERS_RESOURCE_ID)}`],
        ['system', ''],
      ] as const) {
        assert.equal(
          verdictOf(ask(`${TOKEN}&${VAULT}`, policy({ identity }))),
          `allow ${TOKEN}&${VAULT}${added}`,
        );
      }
    });

    it('lets a request name what it is given', () =>
      assert.equal(verdictOf(ask(`${TOKEN}&${VAULT}&client_id=${ORDERS}`, own)).slice(0, 5), 'allow'));

    it('refuses another one in every spelling', () => {
      for (const parameter of [
        `client_id=${OTHER}`,
        `object_id=${OTHER}`,
        `object_id=${ORDERS}`,
        `msi_res_id=${encodeURIComponent(ORDERS_RESOURCE_ID)}`,
        `mi_res_id=${ORDERS_RESOURCE_ID}`,
        `client_id=%32${OTHER.slice(1)}`,
      ]) {
        assert.equal(
          verdictOf(ask(`${TOKEN}&${VAULT}&${parameter}`, own)),
          '403 identity-not-granted',
          parameter,
        );
      }
    });

    it('refuses spellings that only some readers know, whatever the policy', () => {
      for (const parameter of [
        `CLIENT_ID=${OTHER}`,
        `ClientId=${OTHER}`,
        `clientid=${OTHER}`,
        `client-id=${OTHER}`,
        `principal_id=${OTHER}`,
        'client_id=',
        'client_id=system',
        `client_id=${OTHER}%20`,
        `client_id=%7B${OTHER}%7D`,
        'msi_res_id=/x',
        `client_id=${ORDERS}&object_id=${OTHER}`,
        `client_id=${ORDERS}&msi_res_id=${ORDERS_RESOURCE_ID}`,
      ]) {
        for (const given of [own, policy()]) {
          assert.equal(
            verdictOf(ask(`${TOKEN}&${VAULT}&${parameter}`, given)),
            '400 identity-malformed',
            parameter,
          );
        }
      }
    });

    it('refuses a spelling that IMDS may ignore, since IMDS would then choose', () => {
      const byResourceId = policy({ identity: ORDERS_RESOURCE_ID });
      const target = `${TOKEN}&${VAULT}&msi-res-id=${ORDERS_RESOURCE_ID}`;
      assert.equal(verdictOf(ask(target, byResourceId)), '400 identity-malformed');
      assert.equal(verdictOf(ask(target, policy())), `allow ${target}`);
      for (const read of ['msi_res_id', 'mi_res_id']) {
        const named = `${TOKEN}&${VAULT}&${read}=${ORDERS_RESOURCE_ID}`;
        assert.equal(verdictOf(ask(named, byResourceId)), `allow ${named}`);
      }
    });

    it('says that a client id and a resource id cannot be matched', () => {
      const decision = ask(`${TOKEN}&${VAULT}&mi_res_id=${ORDERS_RESOURCE_ID}`, own);
      assert.match(JSON.stringify(decision), /not matched with a resource id/);
    });

    it('refuses to let IMDS choose when the policy is a list without a default', () =>
      assert.equal(
        verdictOf(ask(`${TOKEN}&${VAULT}`, policy({ identities: ORDERS }))),
        '403 identity-required',
      ));

    it('lets IMDS choose for a client without policy, unless a policy is required', () => {
      assert.equal(verdictOf(ask(`${TOKEN}&${VAULT}`, policy())), `allow ${TOKEN}&${VAULT}`);
      assert.equal(verdictOf(ask(`${TOKEN}&${VAULT}`, policy(), true)), '403 identity-required');
      assert.equal(verdictOf(ask(`${TOKEN}&${VAULT}`, own, true)).slice(0, 5), 'allow');
    });

    it('requires a policy of the container, whatever its requests name', () => {
      const named = `${TOKEN}&${VAULT}&client_id=${OTHER}`;
      for (const given of [policy(), policy({ identities: '*' })]) {
        assert.equal(verdictOf(ask(named, given, true)), '403 identity-required');
      }
      for (const given of [policy({ identities: OTHER }), policy({ identity: ORDERS, identities: '*' })]) {
        assert.equal(verdictOf(ask(named, given, true)), `allow ${named}`);
      }
    });

    it('names the labels that would allow it, and no other identity of the policy', () => {
      const refused = [
        [ask(`${TOKEN}&${VAULT}&client_id=${OTHER}`, own), 'com.msi-proxy.identities'],
        [ask(`${TOKEN}&${VAULT}`, policy({ identities: ORDERS })), 'com.msi-proxy.identity'],
        [ask(`${TOKEN}&${VAULT}`, policy(), true), 'com.msi-proxy.identity'],
      ] as const;
      for (const [decision, label] of refused) {
        const text = JSON.stringify(decision.kind === 'deny' && decision.answer.body);
        assert.ok(text.includes(label), text);
        assert.ok(!text.includes(ORDERS), text);
      }
    });
  });

  describe('of credentials', () => {
    const METADATA = '/metadata/identity/getplatformmetadata?cred-api-version=2.0';

    it('gives them under the same identity policy, in the spelling of that endpoint', () => {
      for (const [identity, added] of [
        [ORDERS, `&client_id=${ORDERS}`],
        [ORDERS_RESOURCE_ID, `&mi_res_id=${encodeURIComponent(ORDERS_RESOURCE_ID)}`],
      ] as const) {
        const given = policy({ identity, endpoints: 'credential' });
        assert.equal(verdictOf(ask(METADATA, given)), `allow ${METADATA}${added}`);
        assert.equal(verdictOf(ask(`${METADATA}&client_id=${OTHER}`, given)), '403 identity-not-granted');
      }
    });

    it('answers as an IMDS without them to clients that may have none, so that they use tokens', () => {
      for (const grant of [undefined, { kind: 'unlabelled' } as const]) {
        assert.equal(verdictOf(ask(METADATA, grant)), '404 not-labelled');
      }
      const decision = ask(METADATA, policy());
      assert.equal(verdictOf(decision), '404 endpoint-not-granted');
      assert.match(decision.kind === 'deny' ? decision.answer.body : '', /com\.msi-proxy\.endpoints/);
    });

    it('refuses msi_res_id, which that endpoint ignores', () => {
      const given = policy({ identity: ORDERS_RESOURCE_ID, endpoints: 'credential' });
      const target = `${METADATA}&msi_res_id=${ORDERS_RESOURCE_ID}`;
      assert.equal(verdictOf(ask(target, given)), '400 identity-malformed');
    });

    it('gives none to a client whose resources are restricted: a credential is good for all', () => {
      const given = policy({ resources: 'https://vault.azure.net', endpoints: 'credential' });
      assert.equal(verdictOf(ask(METADATA, given)), '403 resource-not-granted');
    });
  });

  describe('of resources', () => {
    const vault = policy({ resources: 'https://vault.azure.net,https://*.not-a-pattern'.split(',')[0]! });

    it('compares them decoded, without case of the host and without a bare trailing slash', () => {
      for (const resource of [
        'https://vault.azure.net',
        'https%3A%2F%2FVAULT.azure.net%2F',
        'https://vault.azure.net/',
      ]) {
        assert.equal(verdictOf(ask(`${TOKEN}&resource=${resource}`, vault)).slice(0, 5), 'allow', resource);
      }
      for (const resource of [
        'https://vault.azure.net.evil',
        'https://vault.azure.net/x',
        'http://vault.azure.net',
      ]) {
        assert.equal(
          verdictOf(ask(`${TOKEN}&resource=${resource}`, vault)),
          '403 resource-not-granted',
          resource,
        );
      }
    });

    it('refuses a request without one, and one that readers decode differently', () => {
      assert.equal(verdictOf(ask(TOKEN, policy())), '400 resource-malformed');
      assert.equal(
        verdictOf(ask(`${TOKEN}&resource=https://vault.azure.net+x`, vault)),
        '400 resource-malformed',
      );
      // The Kelvin sign is "k" in lower case.
      const keyed = policy({ resources: 'https://k.example/*' });
      for (const resource of [
        'https://%E2%84%AA.example/x',
        'https://k.example/%252e',
        'https://k.example/%20',
      ]) {
        assert.equal(
          verdictOf(ask(`${TOKEN}&resource=${resource}`, keyed)),
          '400 resource-malformed',
          resource,
        );
      }
    });

    it('forwards unknown parameters only for a client that may have everything', () => {
      for (const parameter of ['x=y', 'Claims=x', 'authority=https://login.example']) {
        const target = `${TOKEN}&${VAULT}&${parameter}`;
        assert.equal(verdictOf(ask(target, policy())), `allow ${target}`);
        for (const restricted of [vault, policy({ identity: ORDERS })]) {
          assert.equal(verdictOf(ask(target, restricted)), '403 parameter-not-granted');
        }
      }
      for (const restricted of [vault, policy({ identity: ORDERS })]) {
        const decision = ask(`${TOKEN}&${VAULT}&bypass_cache=true`, restricted);
        assert.equal(verdictOf(decision).slice(0, 5), 'allow');
      }
    });

    it('forwards an authority of Microsoft, which Hadoop sends, and no other', () => {
      for (const [authority, expected] of [
        [`https://login.microsoftonline.com/${OTHER}`, 'allow'],
        [`https%3A%2F%2Flogin.microsoftonline.com%2F${OTHER}%2F`, 'allow'],
        ['https://login.microsoftonline.us/contoso.example', 'allow'],
        [`http://login.microsoftonline.com/${OTHER}`, '403 parameter-not-granted'],
        [`https://login.microsoftonline.com.evil.example/${OTHER}`, '403 parameter-not-granted'],
        [`https://login.microsoftonline.com@evil.example/${OTHER}`, '403 parameter-not-granted'],
        [`https://evil.example/?https://login.microsoftonline.com`, '403 parameter-not-granted'],
        ['https://login.microsoftonline.com/a/../b', '403 parameter-not-granted'],
      ] as const) {
        for (const restricted of [vault, policy({ identity: ORDERS })]) {
          const decision = ask(`${TOKEN}&${VAULT}&authority=${authority}`, restricted);
          assert.equal(verdictOf(decision).slice(0, expected.length), expected, authority);
        }
      }
    });
  });

  describe('whatever is asked', () => {
    const usual = fc.shuffledSubarray([
      ['resource', 'https://vault.azure.net'],
      ['client_id', ORDERS],
      ['object_id', OTHER],
      ['msi_res_id', ORDERS_RESOURCE_ID],
    ]);
    const unusual = fc.array(fc.tuple(parameterName, parameterValue), { maxLength: 2 });
    const arbitraryTarget = fc
      .tuple(usual, unusual)
      .map(lists => [TOKEN, ...lists.flat().map(pair => pair.join('='))].join('&'));

    for (const given of [
      policy({ identity: ORDERS, resources: 'https://vault.azure.net' }),
      policy({ identity: ORDERS_RESOURCE_ID, resources: 'https://vault.azure.net/*' }),
      policy({ identities: `${ORDERS},object:${OTHER}`, resources: 'https://vault.azure.net' }),
    ]) {
      const granted = given.identities === 'any' ? [] : given.identities.map(formatIdentity);

      it(`no reader finds another identity or resource in what is sent upstream (${granted.join()})`, () => {
        let allowed = 0;
        fc.assert(
          fc.property(arbitraryTarget, target => {
            const verdict = passGate({ method: 'GET', target, rawHeaders: ['Metadata', 'true'] });
            if (verdict.kind !== 'pass') return;
            const grant = { kind: 'client', policy: given } as const;
            const decision = authorize(verdict.request, grant, ENFORCED);
            if (decision.kind !== 'allow') return;
            allowed += 1;
            assert.ok(decision.target.startsWith(target), decision.target);
            for (const readings of readingsOf(decision.target)) {
              const identities = readings.filter(([name]) => IDENTITY_NAMES.includes(name));
              assert.equal(identities.length, 1, decision.target);
              const [name, value] = identities[0]!;
              const asLabel = name === 'objectid' ? `object:${value}` : value;
              assert.ok(
                granted.some(text => text.toLowerCase() === asLabel),
                `${name}=${value} in ${decision.target}`,
              );
              const resources = readings.filter(([other]) => other === 'resource');
              assert.deepEqual(
                resources.map(([, text]) => text.replace(/\/$/, '')),
                ['https://vault.azure.net'],
                decision.target,
              );
            }
          }),
          { numRuns: 5_000 },
        );
        assert.ok(allowed > 100, `only ${allowed} were allowed: the test tests nothing`);
      });
    }

    it('nothing is allowed to an address without a client', () => {
      const path = fc.constantFrom(
        ...['versions', 'instance', 'instance/compute/userData', 'attested/document', 'scheduledevents'],
        ...['loadbalancer', 'identity/info', 'identity/getplatformmetadata', 'identity/oauth2/token'],
      );
      const grant = fc.constantFrom<Grant | undefined>(
        undefined,
        { kind: 'unlabelled' },
        { kind: 'refused', reason: 'x' },
      );
      const query = fc.array(fc.tuple(parameterName, parameterValue), { maxLength: 3 });
      fc.assert(
        fc.property(path, query, grant, (path, pairs, grant) => {
          const target = `/metadata/${path}?${['a=b', ...pairs.map(pair => pair.join('='))].join('&')}`;
          const verdict = passGate({ method: 'GET', target, rawHeaders: ['Metadata', 'true'] });
          if (verdict.kind !== 'pass') return;
          assert.equal(authorize(verdict.request, grant, ENFORCED).kind, 'deny');
        }),
      );
    });
  });
});

/** Names in the folded form of {@link readingsOf}. */
const IDENTITY_NAMES = ['clientid', 'objectid', 'msiresid', 'miresid', 'principalid'];

/**
 * The parameters of a target as different readers may read them: names without case and separators, values decoded once
 * or twice, a plus sign as it is or as a space, `;` as a separator or not.
 */
function* readingsOf(target: string): Generator<[name: string, value: string][]> {
  const query = target.slice(target.indexOf('?') + 1);
  for (const separator of [/&/, /[&;]/]) {
    for (const decodings of [1, 2]) {
      for (const plus of ['+', ' ']) {
        const read = (text: string) => {
          let decoded = text.replaceAll('+', plus);
          for (let count = 0; count < decodings; count++) decoded = leniently(decoded);
          return decoded;
        };
        yield query.split(separator).map(piece => {
          const [name = '', ...value] = piece.split('=');
          return [
            read(name)
              .toLowerCase()
              .replace(/[^a-z]/g, ''),
            read(value.join('=')).toLowerCase(),
          ];
        });
      }
    }
  }
}

function leniently(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
