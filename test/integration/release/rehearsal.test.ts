import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from '../../lab/index.ts';
import { productVersion, repositoryRoot } from '../../../scripts/lib/repository.ts';

const NEXT = '99.0.0';
const TIMEOUT_MILLIS = 300_000;
const AUTHOR = {
  GIT_AUTHOR_NAME: 'Rehearsal',
  GIT_AUTHOR_EMAIL: 'rehearsal@example.com',
  GIT_COMMITTER_NAME: 'Rehearsal',
  GIT_COMMITTER_EMAIL: 'rehearsal@example.com',
};

describe('a release, in a copy of this repository', function () {
  this.timeout(TIMEOUT_MILLIS);
  let copy: string | undefined;

  before(async function () {
    if (!existsSync(join(repositoryRoot, '.git'))) {
      console.log('    skipped: this is no repository of git, but an unpacked copy of one');
      this.skip();
    }
    copy = await mkdtemp(join(tmpdir(), 'msi-proxy-release-'));
    await mustRun(['git', 'clone', '--quiet', repositoryRoot, copy], { timeoutMillis: TIMEOUT_MILLIS });
    await addUnreleased(copy);
    await symlink(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'));
    const release = [
      'npm',
      'run',
      'release',
      '--',
      NEXT,
      '--yes',
      '--no-push',
      '--allow-branch',
      '*',
    ] as const;
    await mustRun(release, { cwd: copy, env: { ...process.env, ...AUTHOR }, timeoutMillis: TIMEOUT_MILLIS });
  });
  after(async () => {
    if (copy !== undefined) await rm(copy, { recursive: true, force: true });
  });

  /** So that there is something to release, also right after a release. */
  async function addUnreleased(folder: string): Promise<void> {
    const file = join(folder, 'CHANGELOG.md');
    const text = await readFile(file, 'utf8');
    const heading = '## Unreleased\n';
    await writeFile(file, text.replace(heading, `${heading}\n### Rehearsal\n\n- an entry\n`));
    await mustRun(['git', 'commit', '--quiet', '--all', '--message', 'Rehearse'], {
      cwd: folder,
      env: { ...process.env, ...AUTHOR },
    });
  }

  async function git(...argv: string[]): Promise<string> {
    return (await mustRun(['git', ...argv], { cwd: copy! })).trim();
  }

  it('is one commit and its tag, and leaves nothing uncommitted', async () => {
    assert.equal(await git('describe', '--exact-match'), `v${NEXT}`);
    assert.equal(await git('log', '-1', '--format=%s'), `chore(release): v${NEXT}`);
    assert.equal(await git('status', '--porcelain', '--untracked-files=no'), '');
  });

  it('gives all packages the version, and each the others in it', async () => {
    for (const name of ['shared', 'proxy', 'monitor', 'imds-emulator']) {
      const manifest = JSON.parse(await readFile(join(copy!, 'packages', name, 'package.json'), 'utf8')) as {
        version: string;
        dependencies?: Record<string, string>;
      };
      assert.equal(manifest.version, NEXT);
      for (const [dependency, version] of Object.entries(manifest.dependencies ?? {}))
        if (dependency.startsWith('@msi-proxy/')) assert.equal(version, NEXT, `${name} needs ${dependency}`);
    }
  });

  it('has its entry in the changelog', async () => {
    assert.match(
      await readFile(join(copy!, 'CHANGELOG.md'), 'utf8'),
      /^## 99\.0\.0 – \d{4}-\d\d-\d\d\n\n### /m,
    );
  });

  it('names its images in the documentation and in the files for deployment', async () => {
    const changed = await git('show', '--format=', '--name-only');
    for (const file of ['README.md', 'docs/quick-start.md', 'deploy/swarm/stack.yml'])
      assert.ok(changed.split('\n').includes(file), `${file} was not changed`);
    const old = productVersion().replaceAll('.', String.raw`\.`);
    const search = [
      'grep',
      '-nE',
      `(proxy|monitor|client|emulator):${old}`,
      '--',
      'README.md',
      'docs',
      'deploy',
    ];
    await assert.rejects(git(...search, ':(exclude)docs/adr'), /exit code 1/);
  });

  it('is formatted as the checks want it', async () => {
    const changed = (await git('show', '--format=', '--name-only')).split('\n');
    const prettier = join(repositoryRoot, 'node_modules/.bin/prettier');
    await mustRun([prettier, '--check', '--ignore-unknown', ...changed], {
      cwd: copy!,
      timeoutMillis: 60_000,
    });
  });
});
