import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Language, Parser, type Node, type Tree } from 'web-tree-sitter';

export interface SyntaxProblem {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** What is wrong there, with the text. */
  readonly problem: string;
}

const GRAMMAR = 'tree-sitter-powershell/tree-sitter-powershell.wasm';

let loading: Promise<Parser> | undefined;

/** Reads PowerShell with the grammar of tree-sitter. The tree is the caller's to `delete()`. */
export async function parsePowershell(source: string): Promise<Tree> {
  loading ??= loadParser();
  const tree = (await loading).parse(source);
  if (tree === null) throw new Error('the PowerShell grammar gave no tree');
  return tree;
}

/** Every place that the grammar could not read; empty for a script without mistakes of syntax. */
export function syntaxProblems(tree: Tree): SyntaxProblem[] {
  return problemsIn(tree.rootNode);
}

function problemsIn(node: Node): SyntaxProblem[] {
  if (!node.hasError) return [];
  const place = { line: node.startPosition.row + 1, column: node.startPosition.column + 1 };
  if (node.isMissing) return [{ ...place, problem: `${node.type} is missing` }];
  const inner = node.children.flatMap(problemsIn);
  // The innermost is the most exact.
  if (inner.length > 0 || !node.isError) return inner;
  return [{ ...place, problem: `cannot be read: ${node.text.split('\n', 1)[0] ?? ''}` }];
}

async function loadParser(): Promise<Parser> {
  // Optimizing the grammar's code takes V8 2 GB and 20 s of a processor; unoptimized, a script is read in milliseconds.
  setFlagsFromString('--no-wasm-dynamic-tiering');
  setFlagsFromString('--no-wasm-tier-up');
  await Parser.init();
  const parser = new Parser();
  parser.setLanguage(await Language.load(fileURLToPath(import.meta.resolve(GRAMMAR))));
  return parser;
}
