import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  matchesResource,
  MsiProxyError,
  parseClientPolicy,
  silentLogger,
  type ClientPolicy,
} from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { authorize, type Allowed } from '../../../src/authorize/authorize.ts';
import { passGate } from '../../../src/gate/request-gate.ts';
import type { GatedRequest } from '../../../src/gate/gated-request.ts';
import { TokenBroker, type TokenOutcome } from '../../../src/tokens/token-broker.ts';
import { tokenRequestOf } from '../../../src/tokens/token-request.ts';
import { CallBudget } from '../../../src/upstream/budget/call-budget.ts';
import { UpstreamCalls } from '../../../src/upstream/upstream-calls.ts';
import { errorText, FakeImds, isDown, upstreamAnswer } from '../support/fake-imds.ts';
import { tokenText, tokenWith } from '../support/token-text.ts';

interface Identity {
  readonly clientId: string;
  readonly objectId: string;
  readonly resourceId: string;
}

const RESOURCE_GROUP = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers';

/** Of the VM: its own, and two that were assigned by users. */
const [SYSTEM, APP, ORDERS] = [0, 1, 2].map((number): Identity => ({
  clientId: `c0000000-0000-0000-0000-00000000000${number}`,
  objectId: `b0000000-0000-0000-0000-00000000000${number}`,
  resourceId:
    number === 0
      ? `${RESOURCE_GROUP}/Microsoft.Compute/virtualMachines/vm`
      : `${RESOURCE_GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/app${number}`,
})) as [Identity, Identity, Identity];
const IDENTITIES = [SYSTEM, APP, ORDERS];

const RESOURCES = ['https://vault.azure.net', 'https://storage.azure.com/', 'https://management.azure.com'];
const POLICIES: readonly ClientPolicy[] = [
  {},
  { identity: 'system' },
  { identity: APP.clientId },
  { identity: APP.resourceId, resources: 'https://vault.azure.net' },
  { identity: `object:${ORDERS.objectId}`, identities: APP.clientId },
  { identities: `${APP.clientId},${ORDERS.clientId}`, resources: 'https://vault.azure.net,https://storage*' },
  { identity: 'system', identities: '*', resources: 'https://management.azure.com' },
].map(labels => {
  const prefixed = Object.entries(labels).map(([label, value]) => [`com.msi-proxy.${label}`, value]);
  const result = parseClientPolicy(Object.fromEntries(prefixed) as Record<string, string>);
  assert.ok(result.ok);
  return result.policy;
});

type Step =
  | { readonly kind: 'ask'; readonly policy: number; readonly query: string }
  | { readonly kind: 'wait'; readonly millis: number }
  | { readonly kind: 'imds'; readonly mood: Mood }
  /** IMDS is away until every token has ended. */
  | { readonly kind: 'long-outage' }
  | { readonly kind: 'flush' };

type Mood =
  'well' | 'busy' | 'away' | 'updating' | 'cut' | 'html' | 'error' | 'mistaken' | 'slow' | 'short-lived';

const identityParameter = fc.oneof(
  fc.constant(''),
  ...IDENTITIES.map(({ clientId, objectId, resourceId }) =>
    fc.constantFrom(
      `&client_id=${clientId}`,
      `&client_id=${clientId.toUpperCase()}`,
      `&object_id=${objectId}`,
      `&msi_res_id=${encodeURIComponent(resourceId)}`,
      `&mi_res_id=${resourceId}`,
    ),
  ),
);
const resourceParameter = fc.constantFrom(
  ...RESOURCES.flatMap(resource => [
    resource,
    encodeURIComponent(resource),
    resource.replace('https', 'HTTPS'),
  ]),
);
const freshness = fc.constantFrom(
  '',
  '',
  '',
  '&bypass_cache=true',
  '&xms_cc=cp1',
  '&token_sha256_to_refresh=ab',
);
const query = fc
  .tuple(resourceParameter, identityParameter, freshness)
  .map(([resource, identity, extra]) => `api-version=2018-02-01&resource=${resource}${identity}${extra}`);
const mood = fc.constantFrom<Mood>(
  ...(['well', 'well', 'well', 'busy', 'away', 'updating', 'cut', 'html', 'error', 'mistaken'] as const),
  ...(['slow', 'short-lived'] as const),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      policy: fc.nat({ max: POLICIES.length - 1 }),
      query,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      millis: fc.constantFrom(1, 50, 2_000, 60_000, 3_000_000, 4_000_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('imds' as const), mood }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'long-outage' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'flush' } as const) },
);

/** IMDS, whose tokens say what they are: whose, for what, and until when. */
class TruthfulImds {
  readonly fake: FakeImds;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
    this.fake = new FakeImds(clock, () => isDown());
  }

  become(mood: Mood): void {
    this.fake.latencyMillis = mood === 'slow' ? 8_000 : 20;
    this.fake.reply = target => this.#reply(target, mood);
  }

  #reply(target: string, mood: Mood) {
    switch (mood) {
      case 'well':
      case 'mistaken':
      case 'cut':
      case 'slow':
      case 'short-lived':
        return this.#issue(target, mood);
      case 'busy':
        return upstreamAnswer(errorText('Temporarily throttled, too many requests'), { status: 429 });
      case 'away':
        return isDown();
      case 'updating':
        return upstreamAnswer('{"error":"Gone"}', { status: 410 });
      case 'html':
        return upstreamAnswer('<html>', { status: 400, contentType: 'text/html' });
      case 'error':
        return upstreamAnswer(errorText('Failed to retrieve token'), { status: 500 });
    }
  }

  #issue(target: string, mood: Mood) {
    const parameters = new URLSearchParams(target.slice(target.indexOf('?') + 1));
    const named = [...parameters].find(([name]) => /^(client_id|object_id|mi_res_id|msi_res_id)$/.test(name));
    const asked = IDENTITIES.find(identity =>
      Object.values(identity).some(id => String(id).toLowerCase() === named?.[1].toLowerCase()),
    );
    const truth = named === undefined ? SYSTEM : asked!;
    const identity = mood === 'mistaken' ? IDENTITIES[(IDENTITIES.indexOf(truth) + 1) % 3]! : truth;
    const lifetimeSeconds = mood === 'short-lived' ? 3 : 3_600;
    const claims = {
      appid: identity.clientId,
      oid: identity.objectId,
      xms_mirid: identity.resourceId,
      aud: parameters.get('resource') ?? '',
      exp: this.#clock.wallMillis() / 1_000 + lifetimeSeconds,
    };
    const body = tokenText({
      access_token: tokenWith(claims),
      client_id: identity.clientId,
      expires_in: String(lifetimeSeconds),
      resource: claims.aud,
    });
    return upstreamAnswer(mood === 'cut' ? body.slice(0, body.length / 2) : body);
  }
}

interface Given {
  readonly policy: ClientPolicy;
  readonly gated: GatedRequest;
  readonly decision: Allowed;
  readonly outcome: TokenOutcome;
  readonly atMillis: number;
}

function claimsOf(body: Readonly<Record<string, string>>): Record<string, unknown> {
  const payload = body['access_token']!.split('.')[1]!;
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
}

/** What must hold for whatever a client was given. */
function check({ policy, gated, outcome, atMillis }: Given): boolean {
  if (outcome.kind !== 'answer' || outcome.answer.status !== 200) return false;
  const body = JSON.parse(outcome.answer.body.toString()) as Record<string, string>;
  const claims = claimsOf(body);
  const value = (name: string) => gated.query.find(parameter => parameter.name === name)?.value;

  const owner = IDENTITIES.find(({ clientId }) => clientId === claims['appid'])!;
  const ids = [owner.clientId, owner.objectId, owner.resourceId].map(id => id.toLowerCase());
  const isOwner = (identity: Exclude<ClientPolicy['defaultIdentity'], undefined>) =>
    identity.kind === 'system' ? owner === SYSTEM : ids.includes(identity.id.toLowerCase());

  const named = ['client_id', 'object_id', 'mi_res_id', 'msi_res_id'].map(value).find(id => id !== undefined);
  if (named !== undefined)
    assert.ok(ids.includes(named.toLowerCase()), 'another identity than the one named');
  else if (policy.defaultIdentity !== undefined) {
    assert.ok(isOwner(policy.defaultIdentity), 'another identity than the default of the policy');
  }
  if (policy.identities !== 'any') {
    assert.ok(policy.identities.some(isOwner), 'an identity that is not granted');
  }

  const resource = value('resource')!;
  assert.equal(claims['aud'], resource, 'a token for another resource');
  const { resources } = policy;
  const isGranted = resources === 'any' || resources.some(pattern => matchesResource(pattern, resource));
  assert.ok(isGranted, 'a resource that is not granted');
  const leftSeconds = Number(claims['exp']) - atMillis / 1_000;
  assert.ok(leftSeconds > 0, 'an expired token');
  assert.ok(Number(body['expires_in']) <= Math.ceil(leftSeconds), 'a token that ends before it says');
  assert.ok(Number(body['expires_in']) > 0);
  return true;
}

describe('tokens, whatever is asked, granted and answered', () => {
  it('are only given to whom their identity and resource are granted, valid, and as asked for', async () => {
    let given = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async steps => {
        const clock = new FakeClock();
        const imds = new TruthfulImds(clock);
        imds.become('well');
        const random = () => 0.5;
        const budget = new CallBudget({
          clock,
          random,
          identityPerSecond: 20,
          identityConcurrent: 5,
          generalPerSecond: 5,
        });
        const broker = new TokenBroker({
          calls: new UpstreamCalls({ budget, clock, random }),
          send: imds.fake.send,
          clock,
          random,
          logger: silentLogger,
          maxEntries: 8,
          maxBytes: 1_000_000,
        });
        const answers: Promise<void>[] = [];
        const failures: unknown[] = [];

        const ask = (policyIndex: number, text: string) => {
          const policy = POLICIES[policyIndex]!;
          const target = `/metadata/identity/oauth2/token?${text}`;
          const verdict = passGate({ method: 'GET', target, rawHeaders: ['Metadata', 'true'] });
          assert.ok(verdict.kind === 'pass', target);
          const gated = verdict.request;
          const options = { mode: 'enforce', requireIdentity: false } as const;
          const decision = authorize(gated, { kind: 'client', policy }, options);
          if (decision.kind === 'deny') {
            refused += 1;
            return;
          }
          const parameters = decision.added === undefined ? gated.query : [...gated.query, decision.added];
          const outcome = broker.get(tokenRequestOf(parameters, decision.mustBelongTo), {
            source: `client ${policyIndex}`,
            deadlineMillis: clock.monotonicMillis() + 10_000,
          });
          const answer = outcome.then(
            result => {
              const atMillis = clock.wallMillis();
              if (check({ policy, gated, decision, outcome: result, atMillis })) given += 1;
            },
            (error: unknown) => assert.ok(error instanceof MsiProxyError, String(error)),
          );
          answers.push(answer.catch((error: unknown) => void failures.push(error)));
        };

        for (const current of steps) {
          if (current.kind === 'ask') ask(current.policy, current.query);
          if (current.kind === 'wait') await clock.advance(current.millis);
          if (current.kind === 'imds') imds.become(current.mood);
          if (current.kind === 'long-outage') {
            imds.become('away');
            await clock.advance(4_000_000);
          }
          if (current.kind === 'flush') broker.flush();
        }
        await clock.advance(20_000);
        await Promise.all(answers);
        broker.stop();
        assert.ok(imds.fake.mostAtOnce <= 5);
        if (failures.length > 0) throw failures[0];
      }),
      { numRuns: 400 },
    );
    assert.ok(given > 200 && refused > 100, `only ${given} given and ${refused} refused: nothing was tested`);
  }).timeout(60_000);
});
