import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadVirtualMachine } from '../../src/config/load-vm.ts';
import { DEFAULT_APP_IDENTITY, DEFAULT_VM, formatProblem, parseVirtualMachine } from '../../src/index.ts';

function problemsOf(document: unknown): string[] {
  const decoded = parseVirtualMachine(document);
  assert.equal(decoded.ok, false);
  return decoded.problems.map(formatProblem);
}

describe('a VM description', () => {
  it('takes what it does not say from the default VM', () => {
    assert.deepEqual(parseVirtualMachine({}), { ok: true, value: DEFAULT_VM });
    assert.deepEqual(parseVirtualMachine({ name: 'vm-1', systemAssignedIdentity: null }), {
      ok: true,
      value: { ...DEFAULT_VM, name: 'vm-1', systemAssignedIdentity: null },
    });
  });

  it('reads back the default VM', () => {
    assert.deepEqual(parseVirtualMachine(JSON.parse(JSON.stringify(DEFAULT_VM))), {
      ok: true,
      value: DEFAULT_VM,
    });
  });

  it('is refused with all of its problems, each with its place', () => {
    const { name, ...withoutName } = DEFAULT_APP_IDENTITY;
    assert.equal(name, 'id-app');
    const problems = problemsOf({
      tenantId: 'contoso',
      tags: { a: 1 },
      systemAssignedIdentity: { clientId: DEFAULT_APP_IDENTITY.clientId },
      userAssignedIdentities: [withoutName],
      interfaces: [{ ...DEFAULT_VM.interfaces[0], privateIpAddress: '10.0.0', mtu: 1500 }],
      scheduledEvents: {},
      identities: [],
    });
    assert.deepEqual(problems.map(text => text.split(':')[0]).sort(), [
      'identities is not known',
      'interfaces[0].mtu is not known',
      'interfaces[0].privateIpAddress is "10.0.0"',
      'scheduledEvents is {}',
      'systemAssignedIdentity.objectId is missing',
      'tags.a is 1',
      'tenantId is "contoso"',
      'userAssignedIdentities[0].name is missing',
    ]);
    assert.ok(problems.includes('tenantId is "contoso": expected a GUID'));
  });

  it('is refused when two identities have one id', () => {
    const twin = {
      ...DEFAULT_APP_IDENTITY,
      name: 'id-twin',
      clientId: DEFAULT_APP_IDENTITY.objectId.toUpperCase(),
    };
    const [first = ''] = problemsOf({ userAssignedIdentities: [DEFAULT_APP_IDENTITY, twin] });
    assert.match(first, /^userAssignedIdentities\[1\]\.clientId is ".*": expected an id that no other/);
  });

  for (const document of [null, [], 'vm', 7]) {
    it(`is no ${JSON.stringify(document)}`, () => {
      assert.deepEqual(problemsOf(document), [
        `the document is ${JSON.stringify(document)}: expected an object`,
      ]);
    });
  }
});

describe('the file of IMDS_EMULATOR_VM', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imds-emulator-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('describes the VM', async () => {
    const path = join(folder, 'vm.json');
    await writeFile(path, JSON.stringify({ location: 'northeurope' }));
    assert.equal((await loadVirtualMachine(path)).location, 'northeurope');
  });

  it('is not needed', async () => {
    assert.equal(await loadVirtualMachine(''), DEFAULT_VM);
  });

  for (const [what, content, expected] of [
    ['absent', undefined, /IMDS_EMULATOR_VM is ".*vm\.json": expected a JSON file, but: ENOENT/],
    ['no JSON', '{', /expected a JSON file, but: /],
    ['wrong', '{"vmId":"x"}', /IMDS_EMULATOR_VM is ".*vm\.json": vmId is "x": expected a GUID/],
  ] as const) {
    it(`is refused with a reason when it is ${what}`, async () => {
      const path = join(folder, 'vm.json');
      if (content !== undefined) await writeFile(path, content);
      await assert.rejects(loadVirtualMachine(path), { code: 'MSI_SETTINGS_INVALID', message: expected });
    });
  }
});
