import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

const UNITS = ['msi-monitor.service', 'msi-proxy.service'];
const FOLDER = join(repositoryRoot, 'deploy/systemd');
const SYSTEM_UNITS = '/lib/systemd/system';

/** 0 is a service that may nothing, 10 one without any hardening; most of Debian's own are above 9. */
const HIGHEST_EXPOSURE = 2.5;

describe('deploy/systemd', () => {
  it('starts the monitor before Docker starts containers', () => {
    const unit = readFileSync(join(FOLDER, 'msi-monitor.service'), 'utf8');
    assert.match(unit, /^Before=docker\.service$/m);
    assert.doesNotMatch(unit, /^(?:Requires|BindsTo|PartOf)=/m);
  });

  it('keeps the log of the proxy once, at Docker, and in bounds', () => {
    const unit = readFileSync(join(FOLDER, 'msi-proxy.service'), 'utf8');
    assert.match(
      unit,
      /^ExecStartPre=.*docker create (?:.*\\\n)*.*--log-opt max-size=10m --log-opt max-file=5/m,
    );
    assert.match(unit, /^StandardOutput=null\nStandardError=journal$/m);
  });

  describe('in the eyes of systemd', function () {
    this.timeout(60_000);
    let root: string;

    before(function () {
      this.timeout(60_000);
      root = mkdtempSync(join(tmpdir(), 'msi-proxy-systemd-'));
      if (spawnSync('systemd-analyze', ['--version']).error === undefined) {
        layOutMachine();
        return;
      }
      console.log('    skipped: systemd-analyze is not installed (Debian package systemd)');
      this.skip();
    });
    after(() => rmSync(root, { recursive: true }));

    const analyze = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
      return { status, said: `${stdout}${stderr}`.trim() };
    };

    /** A machine with Debian's units, and the programs that ours start. */
    function layOutMachine(): void {
      cpSync(SYSTEM_UNITS, join(root, SYSTEM_UNITS), { recursive: true, verbatimSymlinks: true });
      for (const program of ['usr/local/bin/msi-monitor', 'usr/bin/docker', 'bin/kill']) {
        mkdirSync(join(root, dirname(program)), { recursive: true });
        writeFileSync(join(root, program), '#!/bin/sh\n', { mode: 0o755 });
      }
      mkdirSync(join(root, 'etc/systemd/system'), { recursive: true });
    }

    function install(units: Readonly<Record<string, string>>): void {
      for (const [name, text] of Object.entries(units)) {
        writeFileSync(join(root, 'etc/systemd/system', name), text);
      }
    }

    const shipped = () =>
      Object.fromEntries(UNITS.map(name => [name, readFileSync(join(FOLDER, name), 'utf8')]));
    /** What systemd says of our units; of Debian's it may say what it likes. */
    const complaints = () =>
      analyze('verify', '--man=no', `--root=${root}`, ...UNITS)
        .said.split('\n')
        .filter(line => line.includes('msi-'));

    it('are without a fault', () => {
      install(shipped());
      assert.deepEqual(complaints(), []);
    });

    it('would not be with one', () => {
      const units = shipped();
      install({ ...units, [UNITS[0]!]: units[UNITS[0]!]!.replace('NoNewPrivileges=', 'NoNewPrivilegs=') });
      assert.match(complaints().join(), /NoNewPrivilegs/);
    });

    it('leave the monitor little to do harm with', () => {
      const { said } = analyze(
        'security',
        '--offline=true',
        '--no-pager',
        join(FOLDER, 'msi-monitor.service'),
      );
      const exposure = Number(/Overall exposure level for msi-monitor\.service: ([\d.]+)/.exec(said)?.[1]);
      assert.ok(exposure <= HIGHEST_EXPOSURE, said);
    });
  });
});
