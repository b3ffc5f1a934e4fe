import assert from 'node:assert/strict';
import { contentOf } from './tracked-files.ts';

const SHELL = contentOf('images/client/startup.sh');

/** What users and scripts see of startup.sh, which end-to-end tests run. */
const MESSAGES = [
  ': no proxy serves, or the monitor has not wired this container (is it labelled MSIClientContainer?)',
  'the proxy answered ',
  'not served after ',
  'a whole number of seconds from 0 to 9999',
  'no command given: name one after the image, or in CMD of an image that is based on this one',
  'starting the command all the same (MSI_CLIENT_WAIT_FAILURE=continue)',
  'http://169.254.169.254/.msi-proxy/ready',
];
const EXIT_CODES = [1, 64, 78];

/** Reads arguments as Windows' CommandLineToArgvW does, those after the program's own name. */
function commandLineToArgv(line: string): string[] {
  const argv: string[] = [];
  let current: string | undefined;
  let isQuoted = false;
  for (const [, backslashes = '', character = ''] of line.matchAll(/(\\*)([^\\]|$)/gs)) {
    const isQuote = character === '"';
    const kept = isQuote ? backslashes.slice(0, backslashes.length / 2) : backslashes;
    if (kept !== '' || isQuote) current = (current ?? '') + kept;
    if (isQuote && backslashes.length % 2 === 0) isQuoted = !isQuoted;
    else if (/[ \t]/.test(character) && !isQuoted) {
      if (current !== undefined) argv.push(current);
      current = undefined;
    } else if (character !== '') current = (current ?? '') + character;
  }
  if (current !== undefined) argv.push(current);
  return argv;
}

describe('the startup scripts for Windows', () => {
  it('are held to what the one for Linux says', () => {
    for (const message of MESSAGES) assert.ok(SHELL.includes(message), message);
  });

  for (const path of ['images/client/startup.cmd', 'images/client/startup.ps1']) {
    const script = contentOf(path);

    it(`${path} says the same`, () => {
      for (const message of MESSAGES) assert.ok(script.includes(message), message);
    });

    it(`${path} reads the same settings and ends with the same codes`, () => {
      const settings = new Set(SHELL.match(/\bMSI_CLIENT_[A-Z_]+\b/g));
      assert.deepEqual(new Set(script.match(/\bMSI_CLIENT_[A-Z_]+\b/g)), settings);
      for (const code of EXIT_CODES) assert.match(script, new RegExp(`\\bexit (?:/b )?${code}\\b`));
    });
  }

  it('never lets a value become a part of a command line', () => {
    // Where it is read as %NAME%, only digits can be in it.
    const uses = contentOf('images/client/startup.cmd').match(/^.*%MSI_CLIENT_.*$/gm);
    assert.deepEqual(
      uses?.map(line => line.trim()),
      ['set "wait_seconds=%MSI_CLIENT_WAIT_SECONDS%"'],
    );
  });
});

describe('startup.ps1, on PowerShell before 7.3', () => {
  const script = contentOf('images/client/startup.ps1').replaceAll('\r', '');

  it('gives programs their arguments as they were given', () => {
    const [, body = ''] = /^function ConvertTo-NativeArgument\(.*?\) \{(.*?)^\}/ms.exec(script) ?? [];
    const [, special = ''] = /if \(\$text -ne '' -and \$text -notmatch '([^']*)'\)/.exec(body) ?? [];
    const replacements = [...body.matchAll(/-replace '([^']*)', '([^']*)'/g)];
    assert.equal(replacements.length, 2);
    const quoted = (text: string) => {
      if (text !== '' && !new RegExp(special).test(text)) return text;
      const escaped = replacements.reduce((last, [, pattern = '', replacement = '']) => {
        // The end of a text has another name in .NET.
        return last.replaceAll(new RegExp(pattern.replace(String.raw`\z`, '$'), 'g'), replacement);
      }, text);
      return `"${escaped}"`;
    };
    const given = [
      '',
      'plain',
      'two words',
      'a"b',
      '{"a": "b c"}',
      'C:\\x\\',
      'C:\\Program Files\\x\\',
      String.raw`a\\ "b\\"`,
      '\\',
      '"',
      'a\tb',
    ];
    assert.deepEqual(commandLineToArgv(given.map(quoted).join(' ')), given);
  });

  it('starts them itself, since PowerShell would put quotes around what has them', () => {
    assert.match(
      script.slice(script.indexOf('$command = Get-Command ')),
      /^if \(-not \(Test-LeftToPowerShell \$command\)\) \{\n {4}exit \(Invoke-Program \$command\.Path \$arguments\)\n\}$/m,
    );
    assert.match(
      script,
      /\$start\.Arguments = @\(\$arguments \| ForEach-Object \{ ConvertTo-NativeArgument \$_ \}\) -join ' '/,
    );
  });

  it('leaves what reads its command line by other rules to PowerShell', () => {
    const [, others = '', programs = ''] =
      /\$command\.Name -match '([^']*)' -or\n\s+\$command\.Name -notmatch '([^']*)'/.exec(script) ?? [];
    const isLeft = (name: string) =>
      new RegExp(others, 'i').test(name) || !new RegExp(programs, 'i').test(name);
    const names = ['app.exe', 'MORE.COM', 'cmd.exe', 'CScript.exe', 'npm.cmd', 'a.bat', 'x.vbs'];
    assert.deepEqual(names.filter(isLeft), ['cmd.exe', 'CScript.exe', 'npm.cmd', 'a.bat', 'x.vbs']);
  });
});
