import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleProgram, PROGRAMS, type ProgramName } from '../../../scripts/lib/bundle.ts';
import { noticesOf } from '../../../scripts/lib/notices.ts';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

/** Name and version of each package that files below node_modules belong to. */
function packagesOf(files: readonly string[]): Set<string> {
  const folders = files.flatMap(file => /.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? []);
  return new Set(
    folders.map(folder => {
      const text = readFileSync(join(repositoryRoot, folder, 'package.json'), 'utf8');
      const { name, version } = JSON.parse(text) as { name: string; version: string };
      return `${name} ${version}`;
    }),
  );
}

describe('the notices of a bundle', function () {
  this.timeout(60_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'msi-proxy-notices-'));
  });
  after(() => rm(folder, { recursive: true }));

  for (const program of Object.keys(PROGRAMS) as ProgramName[]) {
    it(`name every package whose code is in the file of ${program}, with a licence`, async () => {
      const files = await bundleProgram(program, join(folder, program));
      const notices = noticesOf(files);
      const bundled = packagesOf(files);
      assert.ok([...bundled].some(each => each.startsWith('winston ')));
      for (const each of bundled) {
        const [, notice = ''] = notices.split(`\n${each}\n\n`);
        assert.match(notice.split('\n====')[0]!, /licen[cs]e|permission/i, each);
      }
    });
  }

  it('are the same whatever the order of the files', () => {
    const files = ['node_modules/yaml/a.js', 'packages/shared/src/index.ts', 'node_modules/ms/index.js'];
    const notices = noticesOf(files);
    assert.equal(noticesOf([...files, 'node_modules/yaml/b.js'].reverse()), notices);
    assert.deepEqual(
      notices.match(/^(?:yaml|ms|@msi-proxy\/shared) \d/gm)?.map(match => match.split(' ')[0]),
      ['ms', 'yaml'],
    );
  });
});
