import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BundledFiles } from './bundle.ts';
import { repositoryRoot } from './repository.ts';

/** Beside a bundle. Licences want to go with every copy of the code, and a bundle has none of their texts. */
export const NOTICES_NAME = 'THIRD-PARTY-NOTICES';

const NOTICE_FILE = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i;
const RULE = '='.repeat(80);

/** A text that names each package of others in a bundle, with its licence. */
export function noticesOf(files: BundledFiles): string {
  const notices = packageFoldersOf(files).map(noticeOf).sort();
  return ['This program carries code of these packages.', ...new Set(notices)].join(`\n\n${RULE}\n`) + '\n';
}

/** The folders of the packages that the files belong to, other than those of this repository. */
function packageFoldersOf(files: BundledFiles): string[] {
  const folders = files.flatMap(
    file => /^(?:\(disabled\):)?(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? [],
  );
  return [...new Set(folders)];
}

function noticeOf(folder: string): string {
  const absolute = join(repositoryRoot, folder);
  const { name, version, license } = JSON.parse(readFileSync(join(absolute, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
  };
  const texts = readdirSync(absolute)
    .filter(file => NOTICE_FILE.test(file))
    .sort()
    .map(file => readFileSync(join(absolute, file), 'utf8').replaceAll('\r\n', '\n').trim());
  if (texts.length === 0)
    texts.push(`No file of it holds a licence; its package.json names ${license ?? 'none'}.`);
  return [`${name} ${version}`, ...texts].join('\n\n');
}
