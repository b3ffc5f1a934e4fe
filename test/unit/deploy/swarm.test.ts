import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

const FOLDER = join(repositoryRoot, 'deploy/swarm');
const UNIT = 'msi-proxy-boot-guard.service';
const UNIT_PATH = `etc/systemd/system/${UNIT}`;
const DROP_IN = 'etc/systemd/system/nftables.service.d/msi-proxy-boot-guard.conf';
const SYSTEM_UNITS = '/lib/systemd/system';

/** Debian's, in what matters here. */
const FIREWALL = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/nftables.conf
ExecReload=/usr/sbin/nft -f /etc/nftables.conf
ExecStop=/usr/sbin/nft flush ruleset
`;

interface Service {
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly logging?: { readonly options: Readonly<Record<string, string>> };
  readonly volumes?: readonly { readonly type: string; readonly target: string }[];
  readonly deploy: {
    readonly resources?: { readonly limits?: Readonly<Record<string, string>> };
    readonly restart_policy: { readonly delay: string };
  };
}

describe('deploy/swarm/stack.yml', () => {
  const text = readFileSync(join(FOLDER, 'stack.yml'), 'utf8');
  const { services } = parse(text, { merge: true }) as { services: Record<'proxy' | 'monitor', Service> };

  it('leaves proxy and monitor the rights that docs/security.md names, and no other', () => {
    for (const service of Object.values(services)) assert.deepEqual(service.cap_drop, ['ALL']);
    assert.deepEqual(services.proxy.cap_add, ['NET_ADMIN', 'SETUID', 'SETGID']);
    assert.deepEqual(services.monitor.cap_add, ['NET_ADMIN']);
  });

  it('lets them change no file but in /run, and have no more memory than in the other ways to run them', () => {
    for (const { read_only, volumes = [], deploy } of Object.values(services)) {
      assert.equal(read_only, true);
      assert.deepEqual(
        volumes.filter(({ type }) => type === 'tmpfs').map(({ target }) => target),
        ['/run'],
      );
      assert.equal(deploy.resources?.limits?.['memory'], '256M');
    }
  });

  it('bounds their logs, which Docker keeps without an end', () => {
    for (const { logging } of Object.values(services))
      assert.deepEqual(logging?.options, { 'max-size': '10m', 'max-file': '5' });
  });

  it('starts a monitor again that ends, without haste', () => {
    assert.equal(services.monitor.deploy.restart_policy.delay, '2s');
  });
});

describe('deploy/swarm/prepare-node.sh', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'msi-proxy-swarm-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('says so and changes nothing on a node without the program that its unit starts', () => {
    const missing = join(directory, 'sbin/nft');
    const { status, stderr } = run([], copyStarting(missing));

    assert.equal(status, 69, stderr);
    assert.ok(stderr.includes(missing), stderr);
    assert.match(stderr, /package nftables/);
    assert.deepEqual(readdirSync(directory).sort(), ['programs', 'swarm']);
  });

  it('has the rules loaded again whenever the firewall of the node empties all', () => {
    const copy = copyStarting('/bin/true');
    assert.equal(run([], copy).status, 0);
    const loads = (file: string, setting: string) =>
      new RegExp(`^${setting}=-?/bin/true -f /etc/msi-proxy/boot-guard\\.nft$`, 'm').test(installed(file));
    assert.ok(loads(UNIT_PATH, 'ExecStart'));
    for (const setting of ['ExecStartPost', 'ExecReload', 'ExecStopPost'])
      assert.ok(loads(DROP_IN, setting), setting);
  });

  it('does not let the firewall of the node fail for these rules', () => {
    assert.doesNotMatch(readFileSync(join(FOLDER, 'nftables-boot-guard.conf'), 'utf8'), /^Exec\w+=[^-]/m);
  });

  it('leaves nothing behind of what it installed, and what others have for the firewall', () => {
    const copy = copyStarting('/bin/true');
    const other = join(directory, 'root', dirname(DROP_IN), 'other.conf');
    assert.equal(run([], copy).status, 0);
    writeFileSync(other, '');
    assert.equal(run(['--remove'], copy).status, 0);
    assert.deepEqual(files(join(directory, 'root')), [other]);
    rmSync(other);
    assert.equal(run([], copy).status, 0);
    assert.equal(run(['--remove'], copy).status, 0);
    assert.equal(existsSync(dirname(other)), false);
  });

  it('gives systemd units without a fault', function () {
    this.timeout(60_000);
    if (spawnSync('systemd-analyze', ['--version']).error !== undefined) {
      console.log('    skipped: systemd-analyze is not installed (Debian package systemd)');
      this.skip();
    }
    const root = join(directory, 'root');
    cpSync(SYSTEM_UNITS, join(root, SYSTEM_UNITS), { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(root, 'usr/sbin'), { recursive: true });
    writeFileSync(join(root, 'usr/sbin/nft'), '#!/bin/sh\n', { mode: 0o755 });
    writeFileSync(join(root, SYSTEM_UNITS, 'nftables.service'), FIREWALL);
    for (const [path, file] of Object.entries({ [UNIT_PATH]: UNIT, [DROP_IN]: 'nftables-boot-guard.conf' })) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      cpSync(join(FOLDER, file), join(root, path));
    }
    const { stdout, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', `--root=${root}`, UNIT, 'nftables.service'],
      { encoding: 'utf8' },
    );
    const said = `${stdout}${stderr}`.split('\n').filter(line => /boot-guard|nftables/.test(line));
    assert.deepEqual(said, []);
  });

  /** What is shipped, with another program in the place of nft. */
  function copyStarting(program: string): string {
    const copy = join(directory, 'swarm');
    cpSync(FOLDER, copy, { recursive: true });
    for (const file of readdirSync(copy)) {
      const text = readFileSync(join(copy, file), 'utf8');
      writeFileSync(join(copy, file), text.replaceAll('/usr/sbin/nft', program));
    }
    return copy;
  }

  function run(args: readonly string[], folder: string) {
    return spawnSync(join(folder, 'prepare-node.sh'), args, {
      encoding: 'utf8',
      env: {
        ...process.env,
        DESTDIR: join(directory, 'root'),
        PATH: `${folderWithHarmlessNft()}:${process.env['PATH'] ?? ''}`,
      },
    });
  }

  function installed(path: string): string {
    return readFileSync(join(directory, 'root', path), 'utf8');
  }

  function files(folder: string): string[] {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name));
  }

  /** Should the script find another one than its unit does: it must load no rules here. */
  function folderWithHarmlessNft(): string {
    const folder = join(directory, 'programs');
    cpSync('/bin/true', join(folder, 'nft'));
    return folder;
  }
});
