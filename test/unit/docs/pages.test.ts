import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { CommandBlock } from '../../docs/command-blocks.ts';
import { readPages, type Page } from '../../docs/pages.ts';

/** Programs whose names begin what a reader would copy. */
const INDENTED_COMMAND =
  /^ {4}(?:\$ )?(?:docker|npm|npx|node|curl|msi-\w+|systemctl|nomad|kubectl|git|export) /;

describe('the pages of this repository', () => {
  let pages: Page[];
  before(async () => {
    pages = await readPages();
  });

  it('have their commands in fenced blocks, where tests find them', () => {
    for (const { path, markdown } of pages) {
      for (const [index, line] of markdown.split('\n').entries()) {
        assert.doesNotMatch(line, INDENTED_COMMAND, `${path}:${index + 1}`);
      }
    }
  });

  it('show PowerShell only with a word on why no test here runs it', () => {
    for (const { path, blocks } of pages) {
      for (const { line, language, notRun } of blocks) {
        assert.ok(language !== 'powershell' || notRun !== undefined, `${path}:${line}`);
      }
    }
  });

  it('bound the logs of what they start for good, which Docker keeps without an end', () => {
    for (const { path, blocks } of pages) {
      for (const command of blocks.flatMap(commandsOf)) {
        if (!/^docker run .*--restart always .*msi-proxy\/(?:proxy|monitor)/.test(command)) continue;
        assert.match(command, /--log-opt max-size=10m --log-opt max-file=5/, `${path}: ${command}`);
      }
    }
  });

  it('link to files and headings that are there', () => {
    for (const { path, markdown } of pages) {
      for (const target of linksOf(markdown)) {
        const [file, heading] = target.split('#');
        const linked = file === '' ? path : normalize(join(dirname(path), file!));
        assert.ok(existsSync(linked), `${path} links to ${target}`);
        if (heading === undefined) continue;
        assert.ok(headingsOf(readFileSync(linked, 'utf8')).has(heading), `${path} links to ${target}`);
      }
    }
  });
});

/** Each on one line. */
function commandsOf({ steps }: CommandBlock): string[] {
  return steps.flatMap(({ commands }) =>
    commands
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .map(line => line.trim()),
  );
}

/** Targets of links and pictures that lie in this repository. */
function linksOf(markdown: string): string[] {
  const text = withoutFences(markdown);
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)].map(
    ([, link, source]) => link ?? source!,
  );
  return targets.filter(target => !/^[a-z]+:/.test(target));
}

/** As the usual viewers name them: small letters, hyphens for blanks, without other marks. */
function headingsOf(markdown: string): Set<string> {
  const headings = [...withoutFences(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map(heading =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function withoutFences(markdown: string): string {
  return markdown.replaceAll(/^```[^]*?^```$/gm, '');
}
