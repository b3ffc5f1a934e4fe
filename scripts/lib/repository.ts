import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repositoryRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The version that all packages and images of this tree have in common. */
export function productVersion(): string {
  const text = readFileSync(join(repositoryRoot, 'lerna.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
