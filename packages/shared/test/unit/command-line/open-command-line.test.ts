import assert from 'node:assert/strict';
import { openCommandLine } from '../../../src/command-line/index.ts';
import { PROGRAM } from './fixture.ts';

async function open(...argv: string[]) {
  const written = { stdout: '', stderr: '' };
  const opened = await openCommandLine(PROGRAM, {
    argv,
    version: '1.2.3',
    stdout: { write: text => (written.stdout += text) },
    stderr: { write: text => (written.stderr += text) },
    completions: { cup: () => Promise.resolve(['cup-1']) },
  });
  return { opened, ...written };
}

describe('opening a command line', () => {
  it('gives the command to run, and writes nothing', async () => {
    const { opened, stdout, stderr } = await open('pot', '--json');
    assert.deepEqual(opened, { command: 'pot', arguments: {}, options: { json: true } });
    assert.equal(stdout + stderr, '');
  });

  it('shows the version and help, and is done', async () => {
    assert.deepEqual(await open('--version'), { opened: 0, stdout: '1.2.3\n', stderr: '' });
    assert.match((await open('pour', '--help')).stdout, /^NAME\n {4}brew pour - /);
    const { opened, stdout } = await open();
    assert.equal(opened, 64);
    assert.match(stdout, /^NAME\n {4}brew - /);
  });

  it('says what is wrong, and which help tells more', async () => {
    assert.deepEqual(await open('pour', '--slwly'), {
      opened: 64,
      stdout: '',
      stderr: 'MSI_USAGE: unknown option "--slwly" (did you mean "--slowly"?); see brew pour --help\n',
    });
    assert.match((await open('zzz')).stderr, /; see brew --help\n$/);
  });

  it('answers the completion scripts that it prints', async () => {
    assert.deepEqual(await open('__complete', 'pour', ''), { opened: 0, stdout: 'cup-1\n', stderr: '' });
    assert.equal((await open('__complete', 'pot', '--j')).stdout, '--json\tas JSON\n');
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { opened, stdout } = await open('completion', shell);
      assert.equal(opened, 0);
      assert.match(
        stdout,
        new RegExp(`^#.*\\n?# ${shell} completion for brew|^# ${shell} completion for brew|^#compdef brew`),
      );
      assert.match(stdout, /__complete/);
    }
  });
});
