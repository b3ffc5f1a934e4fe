import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleProgram, PROGRAMS, type ProgramName } from '../../../scripts/lib/bundle.ts';
import { readLockFile, sbomOf } from '../../../scripts/lib/sbom.ts';

const lockFile = readLockFile();

/** MIT by their LICENSE files; their package.json has the older form of the field, which the lock file leaves out. */
const MIT_BY_FILE = ['buildcheck', 'cpu-features', 'ssh2'];

/** `packages/proxy` of `packages/proxy/src/main.ts`. */
function folderOf(program: ProgramName): string {
  return PROGRAMS[program].split('/').slice(0, 2).join('/');
}

/** The packages that files below node_modules belong to. */
function packagesOf(files: readonly string[]): Set<string> {
  const names = files.flatMap(file => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []);
  return new Set(names);
}

describe('the list of what a program is made of', function () {
  this.timeout(60_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'msi-proxy-sbom-'));
  });
  after(() => rm(folder, { recursive: true }));

  for (const program of Object.keys(PROGRAMS) as ProgramName[]) {
    it(`has every package whose code is in the file of ${program}`, async () => {
      const listed = new Set(sbomOf(folderOf(program), lockFile).components.map(({ name }) => name));
      const bundled = packagesOf(await bundleProgram(program, join(folder, program)));
      assert.ok(bundled.has('winston'));
      const missing = [...bundled].filter(name => !listed.has(name));
      assert.deepEqual(missing, []);
    });
  }

  it('has nothing that is only for development', () => {
    const names = sbomOf('packages/proxy', lockFile).components.map(({ name }) => name);
    for (const tool of ['mocha', 'typescript', 'esbuild', 'lerna', '@msi-proxy/imds-emulator']) {
      assert.ok(!names.includes(tool), tool);
    }
  });

  it('names version, licence, checksum and origin of each package of others', () => {
    for (const component of sbomOf('packages/monitor', lockFile).components) {
      const { name, version, purl, licenses, hashes } = component;
      assert.match(version, /^\d+\.\d+\.\d+/, name);
      assert.equal(purl, `pkg:npm/${name.replace('@', '%40')}@${version}`);
      if (!MIT_BY_FILE.includes(name)) assert.equal(licenses?.length, 1, name);
      if (!name.startsWith('@msi-proxy/')) assert.match(hashes?.[0]?.content ?? '', /^[0-9a-f]{128}$/, name);
    }
  });

  it('says what needs what', () => {
    const { dependencies, metadata } = sbomOf('packages/proxy', lockFile);
    const [root] = dependencies;
    assert.equal(root?.ref, metadata.component['bom-ref']);
    assert.ok(root.dependsOn.some(reference => reference.startsWith('pkg:npm/http-proxy@')));
    const proxy = dependencies.find(({ ref }) => ref.startsWith('pkg:npm/http-proxy@'));
    assert.ok(proxy?.dependsOn.some(reference => reference.startsWith('pkg:npm/follow-redirects@')));
  });
});

describe('the lock file', () => {
  const entries = Object.entries(lockFile.packages).filter(
    ([location, { link }]) => location.includes('node_modules/') && link !== true,
  );

  it('has a checksum for every package', () => {
    const without = entries
      .filter(([, { integrity }]) => integrity === undefined)
      .map(([location]) => location);
    assert.deepEqual(without, []);
  });

  it('has no licence among the programs that would bind their users', () => {
    const programs = ['proxy', 'monitor', 'imds-emulator', 'shared'].map(name => `packages/${name}`);
    const licences = programs
      .flatMap(program => sbomOf(program, lockFile).components)
      .filter(({ name }) => !MIT_BY_FILE.includes(name))
      .map(({ licenses }) => licenses?.[0]?.license.name ?? 'none');
    const permissive = /^\(?(?:MIT|ISC|BSD|Apache-2\.0|0BSD|Unlicense|BlueOak-1\.0\.0|CC0)/;
    assert.deepEqual(
      licences.filter(licence => !permissive.test(licence)),
      [],
    );
  });
});
