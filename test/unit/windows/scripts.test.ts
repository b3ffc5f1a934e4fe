import assert from 'node:assert/strict';
import { parsePowershell, syntaxProblems } from '../../../scripts/lib/powershell-grammar.ts';
import { contentOf, filesLike } from './tracked-files.ts';

const POWERSHELL = filesLike('**/*.ps1');
const BATCH = filesLike('**/*.cmd');

async function problemsOf(source: string): Promise<string[]> {
  const tree = await parsePowershell(source);
  try {
    return syntaxProblems(tree).map(({ line, column, problem }) => `${line}:${column} ${problem}`);
  } finally {
    tree.delete();
  }
}

describe('PowerShell scripts', () => {
  for (const path of POWERSHELL) {
    it(`${path} can be read by PowerShell`, async () => {
      assert.deepEqual(await problemsOf(contentOf(path)), []);
    });

    it(`${path} has nothing that only PowerShell 7 can read`, () => {
      // Windows comes with 5.1.
      const code = contentOf(path).replace(/^\s*#.*$/gm, '');
      assert.doesNotMatch(code, /\s(?:&&|\|\||\?\?=?)\s/);
    });
  }

  const mistakes: [name: string, source: string, place: RegExp][] = [
    ['a block that is not closed', 'if ($a) { Get-Item x', /^1:/],
    ['a string that is not closed', "$a = 'b\n", /^1:/],
    ['a condition that is not closed', '$a = 1\nif ($a { Get-Item x }', /^2:/],
  ];
  for (const [name, source, place] of mistakes) {
    it(`with ${name} are found`, async () => {
      const [first = ''] = await problemsOf(source);
      assert.match(first, place);
    });
  }
});

describe('scripts for Windows', () => {
  it('are all looked at', () => {
    for (const path of ['images/client/startup.ps1', 'images/windows/install-node.ps1']) {
      assert.ok(POWERSHELL.includes(path), path);
    }
    assert.ok(BATCH.includes('images/client/startup.cmd'));
  });

  for (const path of [...POWERSHELL, ...BATCH]) {
    it(`${path} is plain ASCII, without a mark at its beginning`, () => {
      // Windows PowerShell reads files without a mark in the machine's code page, where an en dash becomes three signs.
      const strange = contentOf(path)
        .split('\n')
        .flatMap((text, index) => (/[^\t\r\x20-\x7e]/.test(text) ? [`${index + 1}: ${text}`] : []));
      assert.deepEqual(strange, []);
    });

    it(`${path} has the same line ends throughout, one of them at the end`, () => {
      const lineEnds = new Set(contentOf(path).match(/\r?\n|\r/g));
      assert.equal(lineEnds.size, 1);
      assert.match(contentOf(path), /[^\s]\r?\n$/);
    });
  }

  it('are checked out with CRLF, whatever the machine', () => {
    const rules = contentOf('.gitattributes').trim().split('\n');
    for (const extension of ['cmd', 'ps1']) {
      // The last rule that matches is the one that counts.
      const rule = rules.findLast(
        line => /^\*(?:\.\w+)? /.test(line) && ['*', `*.${extension}`].includes(line.split(' ')[0]!),
      );
      assert.equal(rule, `*.${extension} text eol=crlf`);
    }
  });
});

describe('batch files', () => {
  for (const path of BATCH) {
    it(`${path} jumps only to labels that it has`, () => {
      const lines = contentOf(path)
        .split(/\r?\n/)
        .filter(line => !/^\s*@?rem\b/i.test(line));
      const labels = new Set(lines.flatMap(line => /^:(\w+)/.exec(line)?.[1]?.toLowerCase() ?? []));
      const jumps = lines.flatMap(line =>
        [...line.matchAll(/\b(?:goto\s+:?|call\s+:)(\w+)/gi)].map(([, label]) => label!.toLowerCase()),
      );
      assert.deepEqual(
        jumps.filter(label => !labels.has(label)),
        [],
      );
      assert.deepEqual(
        [...labels].filter(label => !jumps.includes(label)),
        [],
      );
    });
  }
});
