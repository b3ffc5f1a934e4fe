import assert from 'node:assert/strict';
import { commandsMarkdown } from '../../../src/command-line/commands-markdown.ts';
import { commandHelp, programHelp } from '../../../src/command-line/help-page.ts';
import { PROGRAM } from './fixture.ts';

describe('the help', () => {
  it('of a program has the sections of a manual page', () => {
    const help = programHelp(PROGRAM);
    assert.deepEqual(help.match(/^[A-Z].*$/gm), [
      'NAME',
      'SYNOPSIS',
      'DESCRIPTION',
      'COMMANDS',
      'OPTIONS',
      'EXIT STATUS',
      'SETTINGS',
      'EXAMPLES',
    ]);
    assert.match(help, /^ {4}brew - makes tea$/m);
    assert.match(help, /^ {4}pot wash \(<pot> \| --all\)\n {8}wash the pot$/m);
    for (const variable of ['BREW_WATER', 'BREW_MODE']) assert.ok(help.includes(`    ${variable}\n`));
    assert.doesNotMatch(help, /internal/);
  });

  it('of a command tells all about it, and nothing of others', () => {
    assert.equal(
      commandHelp(PROGRAM, 'pour'),
      `NAME
    brew pour - pour into a cup

SYNOPSIS
    brew pour <cup> [<saucer>] [--sort <sort>] [--degrees <n>] [--slowly] [<settings>]

DESCRIPTION
    Pours until the cup is full.

ARGUMENTS
    <cup>
        where to: a cup
    <saucer>
        what is below: a saucer

OPTIONS
    -s, --sort <sort>
        what to pour: one of "green", "black"
    --degrees <n>
        how hot: a whole number
    --slowly
        without haste
    --config <file>
        the settings file to read: the path of a YAML file
    --print-config[=<format>]
        show the settings that would hold and what gave them, as text or JSON,
        and do nothing else: one of "text", "json"
    -h, --help
        show help and do nothing else
    --version
        show the version and do nothing else

EXIT STATUS
    0
        success
    1
        the pot is empty

SETTINGS
    Each can be given by a flag, by its variable, or in a file:
    /etc/msi-proxy/brew.yaml, on Windows %ProgramData%\\msi-proxy\\brew.yaml, or
    the one that --config or BREW_CONFIG names. A flag prevails over the
    variable, and the variable over the file.
    BREW_WATER
        How much.
        Expected: a whole number from 1 to 9
        Default: 1
        Flag: --water <value>, in the file: water
    BREW_WITH_SUGAR
        Whether.
        Expected: "true" or "false"
        Default: false
        Flag: --with-sugar[=<value>], in the file: withSugar

EXAMPLES
    fill a cup:
        brew pour cup-1
`,
    );
  });

  it('keeps to the width of the terminal', () => {
    const description = ['word '.repeat(100).trim()];
    for (const width of [72, 100]) {
      const lines = programHelp({ ...PROGRAM, description, examples: [] }, { width }).split('\n');
      assert.ok(lines.every(line => line.length <= width));
    }
  });

  it('is also a page of the docs', () => {
    const page = commandsMarkdown(PROGRAM);
    assert.match(page, /^## brew$/m);
    assert.match(
      page,
      /^### brew pot wash\n\n```text\nbrew pot wash \(<pot> \| --all\) \[<settings>\]\n```\n\nWash the pot\.$/m,
    );
    assert.match(page, /^\| 1 \| the pot is empty \|$/m);
    assert.match(page, /^Settings that it reads, each of which is also a flag: `BREW_MODE`\.$/m);
    assert.doesNotMatch(page, /internal/);
  });
});
