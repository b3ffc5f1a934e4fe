// Run by lerna when it has set a new version, before it commits: what is unreleased in CHANGELOG.md becomes that version,
// and commands in the documentation and files for deployment name its images.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../test/lab/index.ts';
import { releasedChangelog } from './lib/released-changelog.ts';
import { productVersion, repositoryRoot } from './lib/repository.ts';
import { runMain } from './lib/run-main.ts';
import { withVersion } from './lib/version-in-text.ts';

const CHANGELOG = 'CHANGELOG.md';
/** Where commands name images by their version. Decisions and their figures stay as they were. */
const NAMING_THE_VERSION = ['README.md', 'deploy', 'docs', ':(exclude)docs/adr'];

await runMain(async () => {
  const before = (JSON.parse(await git('show', 'HEAD:lerna.json')) as { version: string }).version;
  const version = productVersion();
  const today = new Date().toISOString().slice(0, 10);
  rewrite(CHANGELOG, text => releasedChangelog(text, version, today));
  const search = ['grep', '-Il', '--fixed-strings', '-e', before, '--', ...NAMING_THE_VERSION];
  const files = (await git(...search)).split('\n').filter(file => file !== '');
  for (const file of files) rewrite(file, text => withVersion(text, before, version));
  await git('add', '--', CHANGELOG, ...files);
});

function rewrite(file: string, change: (text: string) => string): void {
  const path = join(repositoryRoot, file);
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

async function git(...argv: string[]): Promise<string> {
  return await mustRun(['git', ...argv], { cwd: repositoryRoot, timeoutMillis: 60_000 });
}
