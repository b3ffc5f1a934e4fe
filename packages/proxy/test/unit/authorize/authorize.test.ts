import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseClientPolicy, type ClientPolicy, type Grant } from '@msi-proxy/shared';
import { authorize, type Decision } from '../../../src/authorize/authorize.ts';
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

function ask(target: string, grant: Grant | ClientPolicy | undefined, requireIdentity = false): Decision {
  const verdict = passGate({ method: 'GET', target, rawHeaders: ['Metadata', 'true'] });
  assert.ok(verdict.kind === 'pass', target);
  const full = grant === undefined || 'kind' in grant ? grant : ({ kind: 'client', policy: grant } as const);
  return authorize(verdict.request, full, { requireIdentity });
}

function verdictOf(decision: Decision): string {
  return decision.kind === 'allow'
    ? `allow ${decision.target}`
    : `${decision.answer.status} ${decision.reason}`;
}

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
        ['/metadata/identity/getplatformmetadata?cred-api-version=2.0', '403'],
      ] as const) {
        assert.equal(verdictOf(ask(path, policy())).split(' ')[0], expected, path);
      }
    });

    it('takes user data out of instance answers unless it is granted', () => {
      const instance = '/metadata/instance?api-version=2021-02-01';
      const without = ask(instance, policy());
      const withIt = ask(instance, policy({ endpoints: 'instance,userdata' }));
      assert.equal(without.kind === 'allow' && without.stripUserData, true);
      assert.equal(withIt.kind === 'allow' && withIt.stripUserData, false);
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
        `msi-res-id=${ORDERS_RESOURCE_ID}`,
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
    });

    it('forwards unknown parameters only for a client that may have everything', () => {
      const target = `${TOKEN}&${VAULT}&authority=https://login.example`;
      assert.equal(verdictOf(ask(target, policy())), `allow ${target}`);
      assert.equal(verdictOf(ask(target, vault)), '403 parameter-not-granted');
      assert.equal(verdictOf(ask(`${TOKEN}&${VAULT}&bypass_cache=true`, vault)).slice(0, 5), 'allow');
    });
  });

  it('never sends upstream an identity or resource outside of the policy, however it is spelt', () => {
    const given = policy({ identity: ORDERS, resources: 'https://vault.azure.net' });
    const name = fc.constantFrom(
      'client_id',
      'Client_ID',
      'object_id',
      'msi_res_id',
      'mi_res_id',
      'msi-res-id',
      'principal_id',
      'resource',
      'Resource',
      'authority',
      'claims',
      'x',
    );
    const value = fc.constantFrom(
      ORDERS,
      OTHER,
      ORDERS.toUpperCase(),
      ORDERS_RESOURCE_ID,
      '',
      'https://vault.azure.net',
      'https%3A%2F%2Fvault.azure.net',
      'https%253A%252F%252Fgraph.microsoft.com',
      'https://graph.microsoft.com',
      '%31',
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 4 }), pairs => {
        const target = [TOKEN, ...pairs.map(([key, text]) => `${key}=${text}`)].join('&');
        const verdict = passGate({ method: 'GET', target, rawHeaders: ['Metadata', 'true'] });
        if (verdict.kind !== 'pass') return;
        const decision = authorize(
          verdict.request,
          { kind: 'client', policy: given },
          { requireIdentity: false },
        );
        if (decision.kind !== 'allow') return;
        const sent = new URLSearchParams(decision.target.split('?')[1]);
        assert.equal(sent.get('client_id')?.toLowerCase(), ORDERS);
        assert.equal(sent.get('resource'), 'https://vault.azure.net');
        for (const key of sent.keys()) {
          assert.ok(['api-version', 'client_id', 'resource', 'claims'].includes(key), key);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
