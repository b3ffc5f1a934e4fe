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
  readonly azure?: boolean;
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

  it('asks the IMDS of the VM only when it is told to', () => {
    const azure = checks.filter(check => check.azure === true).map(({ id }) => id);
    const source = readFileSync(join(FOLDER, 'azure.ps1'), 'utf8');
    for (const id of azure) assert.ok(source.includes(`Test-Assumption '${id}'`), id);
    assert.match(readFileSync(SCRIPTS[0]!, 'utf8'), /if \(\$Azure\) \{ Test-Azure \}/);
  });

  it('says of each check what is assumed and what is expected', () => {
    for (const { id, assumption, expected, relied } of checks) {
      assert.match(id, /^[a-z0-9]+(-[a-z0-9]+)*$/);
      assert.match(assumption, /\.$/, id);
      assert.ok(expected !== '' && typeof relied === 'boolean', id);
    }
  });
});

/** Of Windows PowerShell 5.1 itself. */
const CMDLETS = new Set([
  'Add-Member',
  'ConvertFrom-Json',
  'ConvertTo-Json',
  'Format-Table',
  'ForEach-Object',
  'Get-Command',
  'Get-Culture',
  'Get-ItemProperty',
  'Get-NetIPAddress',
  'Join-Path',
  'New-Object',
  'Out-String',
  'Pop-Location',
  'Push-Location',
  'Select-Object',
  'Split-Path',
  'Start-Sleep',
  'Where-Object',
  'Write-Host',
]);
