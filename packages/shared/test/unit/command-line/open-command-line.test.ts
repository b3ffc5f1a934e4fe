import assert from 'node:assert/strict';
import { openCommandLine } from '../../../src/command-line/index.ts';
import { PROGRAM } from './fixture.ts';

const environment: Record<string, string> = {};

async function open(...argv: string[]) {
  const written = { stdout: '', stderr: '' };
  const opened = await openCommandLine(PROGRAM, {
    argv,
    version: '1.2.3',
    environment,
    platform: 'linux',
    stdout: { write: text => (written.stdout += text) },
    stderr: { write: text => (written.stderr += text) },
    completions: { cup: () => Promise.resolve(['cup-1']) },
  });
  return { opened, ...written };
}

describe('opening a command line', () => {
  it('gives the command to run, and writes nothing', async () => {
    const { opened, stdout, stderr } = await open('pot', '--json');
    assert.deepEqual(opened, {
      command: 'pot',
      arguments: {},
      options: { json: true },
      settings: { flags: {} },
    });
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

  it('shows the settings that a command would have, and what gave them, instead of running it', async () => {
    environment['BREW_WATER'] = '3';
    try {
      assert.deepEqual(await open('pour', 'cup', '--print-config', '--with-sugar'), {
        opened: 0,
        stdout: [
          '# /etc/msi-proxy/brew.yaml is not there',
          'water: 3         # BREW_WATER',
          'withSugar: true  # --with-sugar',
          '',
        ].join('\n'),
        stderr: '',
      });
      const { stdout } = await open('pour', 'cup', '--print-config=json');
      const { settings } = JSON.parse(stdout) as { settings: Record<string, unknown> };
      assert.deepEqual(settings['water'], {
        value: '3',
        from: 'environment',
        at: 'BREW_WATER',
        env: 'BREW_WATER',
        flag: '--water',
      });
    } finally {
      delete environment['BREW_WATER'];
    }
  });

  it('says all that is wrong with the settings that it should show', async () => {
    assert.deepEqual(await open('pour', 'cup', '--print-config', '--water=0', '--with-sugar=maybe'), {
      opened: 78,
      stdout: '',
      stderr: [
        'MSI_SETTINGS_INVALID: --water is "0": expected a whole number from 1 to 9',
        'MSI_SETTINGS_INVALID: --with-sugar is "maybe": expected "true" or "false"',
        '',
      ].join('\n'),
    });
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
