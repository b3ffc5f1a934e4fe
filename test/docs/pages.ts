import { readFileSync } from 'node:fs';
import { runCommand } from '../lab/run-command.ts';
import { readCommandBlocks, type CommandBlock } from './command-blocks.ts';

/** A page of this repository with its blocks of commands. */
export interface Page {
  readonly path: string;
  readonly markdown: string;
  readonly blocks: readonly CommandBlock[];
}

/** The pages that readers follow: all but the records of decisions, which speak of their day. */
export async function readPages(): Promise<Page[]> {
  const { stdout } = await runCommand([
    'git',
    'ls-files',
    '--cached',
    '--others',
    '--exclude-standard',
    '*.md',
  ]);
  return stdout
    .trim()
    .split('\n')
    .filter(path => !path.startsWith('docs/adr/') && path !== 'CHANGELOG.md')
    .map(readPage);
}

function readPage(path: string): Page {
  const markdown = readFileSync(path, 'utf8');
  try {
    return { path, markdown, blocks: readCommandBlocks(markdown) };
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}
