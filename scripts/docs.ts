/**
 * Prints the reference pages that come from tables in the code: `docs/errors.md` and `docs/settings.md`.
 * With `--check`, writes nothing and fails when a page is not what its table says.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { ERROR_CODES, settingsMarkdown } from '@msi-proxy/shared';
import { EMULATOR_SETTINGS } from '../packages/imds-emulator/src/config/settings.ts';
import { MONITOR_SETTINGS } from '../packages/monitor/src/config.ts';
import { PROXY_SETTINGS } from '../packages/proxy/src/config.ts';

const NOTE = '<!-- Printed by `npm run docs` from tables in the code. Change the table, not this page. -->';

const pages: Record<string, string> = {
  'docs/errors.md': errorsPage(),
  'docs/settings.md': settingsPage(),
};

const { values: options } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const root = new URL('../', import.meta.url);
let stale = 0;
for (const [path, text] of Object.entries(pages)) {
  const file = new URL(path, root);
  const wanted = await format(text, { ...(await resolveConfig(file)), parser: 'markdown' });
  if (!options.check) writeFileSync(file, wanted);
  else if (readIfThere(file) !== wanted) {
    stale += 1;
    console.error(`${path} is not what its table says: run \`npm run docs\``);
  }
}
process.exitCode = stale === 0 ? 0 : 1;

function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { blame, meaning, remedy }]) => `| \`${code}\` | ${blame} | ${meaning} | ${remedy} |`,
  );
  return [
    '# Errors',
    NOTE,
    'Codes are stable, appear as `err.code` in logs and are never used again for something else. The second column says who can mend it.',
    ['| Code | Who | Meaning | What to do |', '| --- | --- | --- | --- |', ...rows].join('\n'),
  ].join('\n\n');
}

function settingsPage(): string {
  return [
    '# Settings',
    NOTE,
    'Settings are environment variables. An empty value counts as not set. All values that cannot be used are reported at once, and the program ends with exit code 78.',
    '## Proxy (`msi-proxy`)',
    settingsMarkdown(PROXY_SETTINGS),
    '## Monitor (`msi-monitor`)',
    settingsMarkdown(MONITOR_SETTINGS),
    '## Emulator (`imds-emulator`)',
    settingsMarkdown(EMULATOR_SETTINGS),
  ].join('\n\n');
}

function readIfThere(file: URL): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
