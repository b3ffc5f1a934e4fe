import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

const FOLDER = join(repositoryRoot, 'deploy/swarm');
const UNIT = 'msi-proxy-boot-guard.service';

describe('deploy/swarm/prepare-node.sh', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'msi-proxy-swarm-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('says so and changes nothing on a node without the program that its unit starts', () => {
    const missing = join(directory, 'sbin/nft');
    const root = join(directory, 'root');
    const copy = join(directory, 'swarm');
    cpSync(FOLDER, copy, { recursive: true });
    const unit = readFileSync(join(FOLDER, UNIT), 'utf8');
    writeFileSync(join(copy, UNIT), unit.replaceAll('/usr/sbin/nft', missing));

    const { status, stderr } = spawnSync(join(copy, 'prepare-node.sh'), {
      encoding: 'utf8',
      env: { ...process.env, DESTDIR: root, PATH: `${folderWithHarmlessNft()}:${process.env['PATH'] ?? ''}` },
    });

    assert.equal(status, 69, stderr);
    assert.ok(stderr.includes(missing), stderr);
    assert.match(stderr, /package nftables/);
    assert.deepEqual(readdirSync(directory).sort(), ['programs', 'swarm']);
  });

  /** Should the script find another one than its unit does: it must load no rules here. */
  function folderWithHarmlessNft(): string {
    const folder = join(directory, 'programs');
    cpSync('/bin/true', join(folder, 'nft'));
    return folder;
  }
});
