// Run by lerna when it has set a new version, before it commits: what is unreleased in CHANGELOG.md becomes that version.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../test/lab/index.ts';
import { releasedChangelog } from './lib/released-changelog.ts';
import { productVersion, repositoryRoot } from './lib/repository.ts';
import { runMain } from './lib/run-main.ts';

await runMain(async () => {
  const file = join(repositoryRoot, 'CHANGELOG.md');
  const today = new Date().toISOString().slice(0, 10);
  writeFileSync(file, releasedChangelog(readFileSync(file, 'utf8'), productVersion(), today));
  await mustRun(['git', 'add', '--', 'CHANGELOG.md'], { cwd: repositoryRoot, timeoutMillis: 60_000 });
});
