import assert from 'node:assert/strict';
import {
  CLIENT_LABEL,
  DEFAULT_ENDPOINT_GROUPS,
  ENDPOINT_GROUPS,
  ENDPOINTS_LABEL,
  formatLabelProblem,
  IDENTITIES_LABEL,
  IDENTITY_LABEL,
  parseClientPolicy,
  RESOURCES_LABEL,
  type ClientPolicy,
  type Labels,
  type LabelProblem,
  type PolicyOptions,
} from '@msi-proxy/shared';

const CLIENT_ID = '0a1b2c3d-0000-4000-8000-00000000000c';
const OTHER_ID = '0a1b2c3d-0000-4000-8000-00000000000d';
const RESOURCE_ID =
  '/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg.x-(1)_y/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-app';

function accepted(labels: Labels, options?: PolicyOptions): ClientPolicy {
  const result = parseClientPolicy(labels, options);
  assert.ok(result.ok, JSON.stringify(result));
  return result.policy;
}

function refused(labels: Labels, options?: PolicyOptions): readonly LabelProblem[] {
  const result = parseClientPolicy(labels, options);
  assert.ok(!result.ok, JSON.stringify(result));
  return result.problems;
}

describe('policy labels', () => {
  it('may be absent: any identity, any audience, the default endpoints', () => {
    assert.deepEqual(accepted({ [CLIENT_LABEL]: '', 'com.example.team': 'x' }), {
      identities: 'any',
      resources: 'any',
      endpoints: DEFAULT_ENDPOINT_GROUPS,
    });
  });

  for (const [text, identity] of [
    ['system', { kind: 'system' }],
    ['  system\t', { kind: 'system' }],
    [CLIENT_ID, { kind: 'client-id', id: CLIENT_ID }],
    [CLIENT_ID.toUpperCase(), { kind: 'client-id', id: CLIENT_ID }],
    [`object:${OTHER_ID.toUpperCase()}`, { kind: 'object-id', id: OTHER_ID }],
    [RESOURCE_ID, { kind: 'resource-id', id: RESOURCE_ID }],
    [RESOURCE_ID.toLowerCase(), { kind: 'resource-id', id: RESOURCE_ID.toLowerCase() }],
  ] as const) {
    it(`name the default identity "${text}"`, () => {
      const policy = accepted({ [IDENTITY_LABEL]: text });
      assert.deepEqual(policy.defaultIdentity, identity);
      assert.deepEqual(policy.identities, [identity], 'and no other is allowed');
    });
  }

  for (const text of [
    '',
    ' ',
    '*',
    'System',
    'system,system',
    `{${CLIENT_ID}}`,
    CLIENT_ID.slice(1),
    `${CLIENT_ID}0`,
    `client:${CLIENT_ID}`,
    'object:',
    'object:system',
    `object: ${CLIENT_ID}`,
    `Object:${CLIENT_ID}`,
    RESOURCE_ID.slice(1),
    `${RESOURCE_ID}/`,
    `${RESOURCE_ID}/extra`,
    `${RESOURCE_ID}?x=1`,
    RESOURCE_ID.replace('ManagedIdentity', 'Compute'),
    RESOURCE_ID.replace('22222222-2222', 'x'),
    RESOURCE_ID.replace('id-app', 'id'),
    RESOURCE_ID.replace('rg.x-(1)_y', 'a/b'),
    `${CLIENT_ID}\n`.padStart(5_000),
    'ｓｙｓｔｅｍ',
  ]) {
    it(`name no identity with ${JSON.stringify(text.slice(0, 40))}`, () => {
      const [problem, ...others] = refused({ [IDENTITY_LABEL]: text });
      assert.equal(problem?.label, IDENTITY_LABEL);
      assert.match(problem.expected, /"system", a client id \(GUID\)/);
      assert.deepEqual(others, []);
    });
  }

  it('name further identities', () => {
    const policy = accepted({
      [IDENTITY_LABEL]: 'system',
      [IDENTITIES_LABEL]: ` ${CLIENT_ID} ,object:${OTHER_ID}, system`,
    });
    assert.deepEqual(policy.defaultIdentity, { kind: 'system' });
    assert.deepEqual(policy.identities, [
      { kind: 'system' },
      { kind: 'client-id', id: CLIENT_ID },
      { kind: 'object-id', id: OTHER_ID },
    ]);
  });

  it('name identities without a default', () => {
    const policy = accepted({ [IDENTITIES_LABEL]: CLIENT_ID });
    assert.equal(policy.defaultIdentity, undefined);
    assert.deepEqual(policy.identities, [{ kind: 'client-id', id: CLIENT_ID }]);
  });

  it('allow any identity by a star, besides a default one', () => {
    const policy = accepted({ [IDENTITY_LABEL]: CLIENT_ID, [IDENTITIES_LABEL]: ' * ' });
    assert.equal(policy.identities, 'any');
    assert.deepEqual(policy.defaultIdentity, { kind: 'client-id', id: CLIENT_ID });
  });

  for (const text of ['', ',', `${CLIENT_ID},`, `${CLIENT_ID},*`, '**', `${CLIENT_ID};${OTHER_ID}`]) {
    it(`name no further identities with "${text}"`, () => {
      assert.ok(refused({ [IDENTITIES_LABEL]: text }).every(({ label }) => label === IDENTITIES_LABEL));
    });
  }

  it('name audiences', () => {
    const text = 'https://Vault.Azure.net/, https://*, api://X/Y , 0A1B2C3D-0000-4000-8000-00000000000C';
    assert.deepEqual(accepted({ [RESOURCES_LABEL]: text }).resources, [
      { kind: 'exact', resource: 'https://vault.azure.net' },
      { kind: 'prefix', prefix: 'https://' },
      { kind: 'exact', resource: 'api://x/Y' },
      { kind: 'exact', resource: CLIENT_ID },
    ]);
    assert.equal(accepted({ [RESOURCES_LABEL]: '*' }).resources, 'any');
  });

  for (const text of ['', 'a,', 'a,*', '*a', 'a*b', 'a**', 'a b', 'a"b', 'a\\b', 'a\u0000b', 'ä', 'a\nb']) {
    it(`name no audience with ${JSON.stringify(text)}`, () => {
      assert.equal(refused({ [RESOURCES_LABEL]: text })[0]?.label, RESOURCES_LABEL);
    });
  }

  it('name endpoint groups, each once', () => {
    assert.deepEqual(accepted({ [ENDPOINTS_LABEL]: 'token, userdata,token' }).endpoints, [
      'token',
      'userdata',
    ]);
    assert.deepEqual(accepted({ [ENDPOINTS_LABEL]: ENDPOINT_GROUPS.join() }).endpoints, ENDPOINT_GROUPS);
  });

  for (const text of ['', '*', 'Token', 'token,', 'tokens', 'versions', 'constructor', 'token;instance']) {
    it(`name no endpoint group with "${text}"`, () => {
      const [problem] = refused({ [ENDPOINTS_LABEL]: text });
      assert.equal(problem?.label, ENDPOINTS_LABEL);
      assert.match(problem.expected, /token, identity-info, instance, userdata/);
    });
  }

  for (const label of [
    'com.msi-proxy.',
    'com.msi-proxy.identitys',
    'com.msi-proxy.Identity',
    'COM.MSI-PROXY.identity',
    'com.msi-proxy.identity.x',
  ]) {
    it(`make a container refused when one is not known: ${label}`, () => {
      const [problem, ...others] = refused({ [label]: 'system', [IDENTITY_LABEL]: 'system' });
      assert.equal(problem?.label, label);
      assert.match(problem.expected, /no such label; known are com\.msi-proxy\.identity, /);
      assert.deepEqual(others, []);
    });
  }

  it('are not looked for below other prefixes', () => {
    accepted({ 'com.msi-proxy': 'x', 'com.msi-proxyx.identity': 'x', 'x.com.msi-proxy.identity': 'x' });
  });

  it('are refused with all of their problems at once', () => {
    const problems = refused({
      'com.msi-proxy.audience': 'x',
      [IDENTITY_LABEL]: 'sys',
      [IDENTITIES_LABEL]: `${CLIENT_ID},nobody,object:7`,
      [RESOURCES_LABEL]: 'a b',
      [ENDPOINTS_LABEL]: 'token,tokens',
    });
    assert.deepEqual(
      problems.map(({ label, value }) => [label, value]),
      [
        ['com.msi-proxy.audience', 'x'],
        [IDENTITY_LABEL, 'sys'],
        [IDENTITIES_LABEL, 'nobody'],
        [IDENTITIES_LABEL, 'object:7'],
        [RESOURCES_LABEL, 'a b'],
        [ENDPOINTS_LABEL, 'tokens'],
      ],
    );
    assert.equal(
      formatLabelProblem(problems[5]!),
      `label ${ENDPOINTS_LABEL} is "tokens": expected endpoint groups of ${ENDPOINT_GROUPS.join(', ')}, comma-separated`,
    );
  });

  it('are shown shortened and printable when they are hostile', () => {
    const forged = `x\n{"level":"error"}\u001b[31m😀${'y'.repeat(10_000)}`;
    const [problem] = refused({ [`com.msi-proxy.${forged}`]: forged });
    for (const shown of [problem!.label, problem!.value]) {
      assert.match(shown, /^[\x20-\x7e]+…$/);
      assert.ok(shown.length < 400);
    }
    assert.match(problem!.value, /^x\\u\{a\}\{"level":"error"\}\\u\{1b\}\[31m\\u\{1f600\}y/);
  });

  it('are refused when they are longer than anyone would write', () => {
    const many = Array.from({ length: 65 }, () => 'token').join();
    const long = 'a'.repeat(4_097);
    assert.match(refused({ [ENDPOINTS_LABEL]: many })[0]!.expected, /at most 64 items and 4096 characters/);
    assert.match(refused({ [RESOURCES_LABEL]: long })[0]!.expected, /at most 64 items/);
    accepted({ [RESOURCES_LABEL]: 'a'.repeat(4_096) });
  });

  it('must name an identity where that is required', () => {
    const options = { requireIdentity: true };
    assert.match(refused({}, options)[0]!.expected, /a client must name its identity here$/);
    assert.match(refused({ [RESOURCES_LABEL]: '*' }, options)[0]!.label, /identity/);
    const any = { [IDENTITIES_LABEL]: ' * ' };
    assert.match(refused(any, options)[0]!.expected, /a client must name its identity here$/);
    accepted({ ...any, [IDENTITY_LABEL]: 'system' }, options);
    accepted({ [IDENTITY_LABEL]: 'system' }, options);
    accepted({ [IDENTITIES_LABEL]: CLIENT_ID }, options);
    assert.equal(refused({ [IDENTITY_LABEL]: '' }, options).length, 1, 'one problem, not two');
    assert.equal(
      refused({ [IDENTITIES_LABEL]: 'a'.repeat(4_097) }, options).length,
      1,
      'one problem, not two',
    );
  });

  it('are read from their own names only', () => {
    const labels = Object.create({ [IDENTITY_LABEL]: 'nonsense' }) as Labels;
    assert.equal(accepted(labels).identities, 'any');
  });
});
