import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { FakeEngine } from '../../support/fake-engine/index.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');

/** For each shell, a program for it that prints what a line can become; `$@` are the words after the program's name. */
const ASK = {
  bash: `
    source <(msi-monitor completion bash)
    COMP_WORDS=(msi-monitor "$@") COMP_CWORD=$#
    _msi_monitor
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  // Outside of its line editor: what the script leaves to zsh is stood in for.
  zsh: `
    compdef() { }
    _describe() { print -rl -- "\${(@P)2}" }
    source <(msi-monitor completion zsh)
    words=(msi-monitor "$@") CURRENT=\${#words}
    _msi_monitor`,
  fish: `
    msi-monitor completion fish | source
    complete --do-complete "msi-monitor $argv"`,
} as const;

type Shell = keyof typeof ASK;

describe('completion of msi-monitor', () => {
  let folder: string;
  let engine: FakeEngine;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'completion-'));
    const program = join(folder, 'msi-monitor');
    await writeFile(
      program,
      `#!/bin/sh\nexec '${process.execPath}' --conditions=@msi-proxy/source --disable-warning=ExperimentalWarning '${MAIN}' "$@"\n`,
    );
    await chmod(program, 0o755);
    engine = await FakeEngine.start();
    for (const name of ['web', 'web-2', 'db']) engine.run({ name });
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  /** Without what the shell shows beside each word. */
  async function completed(shellName: Shell, ...words: string[]): Promise<string[]> {
    const argv = {
      bash: ['--norc', '--noprofile', '-c', ASK.bash, 'bash', ...words],
      zsh: ['--no-rcs', '-c', ASK.zsh, 'zsh', ...words],
      fish: ['--no-config', '--command', ASK.fish, words.join(' ')],
    }[shellName];
    const { stdout } = await promisify(execFile)(shellName, argv, {
      env: {
        ...process.env,
        HOME: folder,
        PATH: [folder, process.env['PATH']].join(delimiter),
        DOCKER_HOST: engine.host,
      },
    });
    const lines = stdout.split('\n').filter(line => line !== '');
    return lines.map(line => line.split(shellName === 'zsh' ? /(?<!\\):/ : '\t')[0]!).sort();
  }

  for (const shellName of Object.keys(ASK) as Shell[]) {
    describe(`in ${shellName}`, () => {
      before(function () {
        if (isInstalled(shellName)) return;
        console.log(`    skipped: ${shellName} is not installed`);
        this.skip();
      });

      it('offers commands', async () => {
        assert.deepEqual(await completed(shellName, 'st'), ['status']);
        assert.ok((await completed(shellName, '')).includes('doctor'));
      });

      it('offers the containers that run', async () => {
        assert.deepEqual(await completed(shellName, 'doctor', 'we'), ['web', 'web-2']);
      });

      it('offers options, and values of options', async () => {
        assert.deepEqual(await completed(shellName, 'status', '--j'), ['--json']);
        assert.deepEqual(await completed(shellName, 'completion', 'f'), ['fish']);
      });

      it('offers nothing, and says nothing, where no engine is', async () => {
        await engine.die();
        try {
          assert.deepEqual(await completed(shellName, 'doctor', 'we'), []);
        } finally {
          await engine.listen();
        }
      });
    });
  }
});

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(each => existsSync(join(each, program)));
}
