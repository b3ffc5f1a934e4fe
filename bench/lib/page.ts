import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import type { Figures } from './targets.ts';
import { repositoryRoot } from '../../scripts/lib/repository.ts';

const PAGE = join(repositoryRoot, 'docs/benchmarks.md');
const DATA = join(repositoryRoot, 'docs/benchmarks.json');

/**
 * Puts new figures into docs/benchmarks.md, between `<!-- bench:name -->` and `<!-- end -->`, and leaves its other text
 * as people wrote it.
 */
export async function writePage(blocks: Readonly<Record<string, string>>): Promise<void> {
  let page = readFileSync(PAGE, 'utf8');
  for (const [name, text] of Object.entries(blocks)) {
    const begin = `<!-- bench:${name} -->`;
    const start = page.indexOf(begin);
    const end = page.indexOf('<!-- end -->', start);
    if (start === -1 || end === -1) throw new Error(`docs/benchmarks.md has no place for ${name}`);
    page = `${page.slice(0, start)}${begin}\n\n${text}\n\n${page.slice(end)}`;
  }
  await writeFormatted(PAGE, page, 'markdown');
}

/** Puts new figures into docs/benchmarks.json, by part. @returns all that is in it now */
export async function writeData(parts: Readonly<Record<string, unknown>>): Promise<Figures> {
  const known = existsSync(DATA) ? (JSON.parse(readFileSync(DATA, 'utf8')) as Record<string, unknown>) : {};
  const all = { ...known, ...parts };
  await writeFormatted(DATA, JSON.stringify(all, undefined, 2), 'json');
  return all;
}

async function writeFormatted(file: string, text: string, parser: 'markdown' | 'json'): Promise<void> {
  writeFileSync(file, await format(text, { ...(await resolveConfig(file)), parser }));
}
