import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

/** Paths of this repository, relative to its root, without what is installed or built. */
export function filesLike(...patterns: readonly string[]): string[] {
  return globSync(patterns, {
    cwd: repositoryRoot,
    exclude: path => /(?:^|\/)(?:node_modules|dist|\.git)$/.test(path),
  }).sort();
}

export function contentOf(path: string): string {
  return readFileSync(join(repositoryRoot, path), 'utf8');
}
