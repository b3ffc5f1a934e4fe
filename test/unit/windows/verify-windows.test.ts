import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, type Tree } from 'web-tree-sitter';
import { parsePowershell, syntaxProblems } from '../../../scripts/lib/powershell-grammar.ts';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

interface Check {
  readonly id: string;
  readonly assumption: string;
  readonly expected: string;
  readonly relied: boolean;
  /** The option without which it is not run. */
  readonly only?: '-Azure' | '-Service';
}

const FOLDER = join(repositoryRoot, 'scripts/verify-windows');
const SCRIPTS = [
  join(repositoryRoot, 'scripts/verify-windows.ps1'),
  ...readdirSync(FOLDER)
    .filter(name => name.endsWith('.ps1'))
    .map(name => join(FOLDER, name)),
];
const checks = JSON.parse(readFileSync(join(FOLDER, 'checks.json'), 'utf8')) as Check[];

/** Commands with their elements, such as `Test-Assumption`, `'unwire'` and the block. */
function commandsIn(node: Node): Node[] {
  const inner = node.namedChildren.flatMap(commandsIn);
  return node.type === 'command' ? [node, ...inner] : inner;
}

describe('the script that verifies a Windows agent', () => {
  const trees: Tree[] = [];
  before(async () => {
    for (const file of SCRIPTS) trees.push(await parsePowershell(readFileSync(file, 'utf8')));
  });
  after(() => {
    for (const tree of trees) tree.delete();
  });

  it('is PowerShell', () => {
    for (const [index, file] of SCRIPTS.entries()) {
      assert.deepEqual(syntaxProblems(trees[index]!), [], file);
    }
  });

  it('runs every check of its list once, and no other', () => {
    const run = trees
      .flatMap(({ rootNode }) => commandsIn(rootNode))
      .filter(command => command.childForFieldName('command_name')?.text === 'Test-Assumption')
      .map(command => /^Test-Assumption '([^']*)'/.exec(command.text)?.[1]);
    assert.deepEqual(run.toSorted(), checks.map(({ id }) => id).toSorted());
  });

  it('calls no function that it does not have', () => {
    const nodes = trees.map(({ rootNode }) => rootNode);
    const defined = new Set(
      nodes.flatMap(node => [...node.text.matchAll(/^function ([\w-]+)/gm)].map(([, name]) => name)),
    );
    const called = nodes
      .flatMap(commandsIn)
      .map(command => command.childForFieldName('command_name')?.text ?? '')
      .filter(name => /^[A-Z][a-z]+-[A-Z]\w+$/.test(name));
    const unknown = new Set(called.filter(name => !defined.has(name) && !CMDLETS.has(name)));
    assert.deepEqual([...unknown], []);
  });

  const optional = [
    ['asks the IMDS of the VM', '-Azure', 'azure.ps1', /if \(\$Azure\) \{ Test-Azure \}/],
    ['installs a service', '-Service', 'service.ps1', /if \(\$Service\) \{ Test-MonitorService \}/],
  ] as const;
  for (const [what, option, file, condition] of optional) {
    it(`${what} only when it is told to`, () => {
      const source = readFileSync(join(FOLDER, file), 'utf8');
      const inFile = [...source.matchAll(/Test-Assumption '([^']*)'/g)].map(([, id]) => id);
      assert.deepEqual(
        inFile.toSorted(),
        checks.flatMap(({ id, only }) => (only === option ? id : [])).toSorted(),
      );
      assert.match(readFileSync(SCRIPTS[0]!, 'utf8'), condition);
    });
  }

  it('says of each check what is assumed and what is expected', () => {
    for (const { id, assumption, expected, relied } of checks) {
      assert.match(id, /^[a-z0-9]+(-[a-z0-9]+)*$/);
      assert.match(assumption, /\.$/, id);
      assert.ok(expected !== '' && typeof relied === 'boolean', id);
    }
  });

  it('assumes that something is not reached where it expects no answer', () => {
    const silent = checks.filter(({ expected }) => expected === 'no answer');
    assert.deepEqual(
      silent.map(({ id }) => id),
      ['neighbour-refused', 'imds-direct'],
    );
    for (const { id, assumption } of silent) assert.match(assumption, /\bnot\b/, id);
  });
});

/** Of Windows PowerShell 5.1 itself. */
const CMDLETS = new Set([
  'Add-Member',
  'ConvertFrom-Json',
  'ConvertTo-Json',
  'Format-Table',
  'ForEach-Object',
  'Get-Acl',
  'Get-Command',
  'Get-Culture',
  'Get-ItemProperty',
  'Get-NetIPAddress',
  'Get-Process',
  'Get-Service',
  'Invoke-RestMethod',
  'Join-Path',
  'New-Object',
  'Out-String',
  'Pop-Location',
  'Push-Location',
  'Remove-Item',
  'Select-Object',
  'Sort-Object',
  'Split-Path',
  'Start-Sleep',
  'Stop-Process',
  'Test-Path',
  'Where-Object',
  'Write-Host',
]);
