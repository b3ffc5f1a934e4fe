/**
 * Prints the reference pages that come from tables in the code, such as `docs/errors.md` and `docs/settings.md`.
 * With `--check`, writes nothing and fails when a page is not what its table says.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { ERROR_CODES, settingsMarkdown } from '@msi-proxy/shared';
import { commandsMarkdown } from '@msi-proxy/shared/command-line';
import { MONITOR_METRICS, PROXY_METRICS, type MetricDefinition } from '@msi-proxy/shared/metrics';
import { EMULATOR_PROGRAM } from '../packages/imds-emulator/src/command-line.ts';
import { EMULATOR_CONFIGURATION } from '../packages/imds-emulator/src/config/settings.ts';
import { MONITOR_PROGRAM } from '../packages/monitor/src/command-line.ts';
import { MONITOR_CONFIGURATION } from '../packages/monitor/src/config.ts';
import { PROXY_PROGRAM } from '../packages/proxy/src/command-line.ts';
import { PROXY_CONFIGURATION } from '../packages/proxy/src/config.ts';

const NOTE = noteOf('tables in the code');

const root = new URL('../', import.meta.url);
const pages: Record<string, string> = {
  'docs/commands.md': commandsPage(),
  'docs/errors.md': errorsPage(),
  'docs/metrics.md': metricsPage(),
  'docs/settings.md': settingsPage(),
  'docs/windows-assumptions.md': windowsAssumptionsPage(),
};

const { values: options } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
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

function noteOf(source: string): string {
  return `<!-- Printed by \`npm run docs\` from ${source}. Change that, not this page. -->`;
}

function commandsPage(): string {
  return [
    '# Commands',
    NOTE,
    '<!-- commands of this page are not run: they are examples, each by itself; other pages have them in their place -->',
    'The same is told by `<program> --help` and `<program> <command> --help`. `<program> completion bash`, `zsh` or `fish` prints a script that completes command lines, also with the names of containers. Settings are described in [settings.md](settings.md).',
    commandsMarkdown(MONITOR_PROGRAM),
    commandsMarkdown(PROXY_PROGRAM),
    commandsMarkdown(EMULATOR_PROGRAM),
  ].join('\n\n');
}

function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { blame, meaning, remedy }]) => `| \`${code}\` | ${blame} | ${meaning} | ${remedy} |`,
  );
  return [
    '# Errors',
    NOTE,
    'Codes are stable, and are never used again for something else. In logs they appear as `err.code`, as `code` where a program could not start or a setting is wrong, and as `reason` in the proxy’s lines about requests. The second column says who can mend it.',
    ['| Code | Who | Meaning | What to do |', '| --- | --- | --- | --- |', ...rows].join('\n'),
  ].join('\n\n');
}

function metricsPage(): string {
  const table = (metrics: readonly MetricDefinition[]) =>
    [
      '| Metric | Type | Labels | Meaning |',
      '| --- | --- | --- | --- |',
      ...metrics.map(({ name, type, labels = {}, openLabels = {}, help }) => {
        const fixed = Object.entries(labels).map(([label, values]) => `\`${label}\`: ${values.join(', ')}`);
        const open = Object.entries(openLabels).map(([label, what]) => `\`${label}\`: ${what}`);
        const names = [...fixed, ...open];
        return `| \`${name}\` | ${type} | ${names.join('; ')} | ${help} |`;
      }),
    ].join('\n');
  return [
    '# Metrics',
    NOTE,
    'The monitor answers `GET /metrics` at `MSI_MONITOR_LISTEN`, in the text format of Prometheus, to whoever asks by IP address or as `localhost`. The page shows the monitor and every proxy that it has a control session with: proxies send their numbers through it every two seconds and listen on no port of their own for this, so no container can read them. Labels have fixed sets of values, versions aside: no client, address, resource or identity is among them. Rules for alerts, and a dashboard, are in `deploy/observability`.',
    '## Monitor',
    table(Object.values(MONITOR_METRICS)),
    '## Proxies',
    'Each has the label `proxy`, the name of its container. Counters begin at 0 with each start of a proxy.',
    table(Object.values(PROXY_METRICS)),
  ].join('\n\n');
}

function settingsPage(): string {
  return [
    '# Settings',
    NOTE,
    'Each setting can be given by a flag, by an environment variable or in a settings file, and the first of these that gives it holds; [configuration.md](configuration.md) tells how. An empty value counts as not given. All values that cannot be used are reported at once, and the program ends with exit code 78. Those that say so can be changed while the program runs.',
    '## Proxy (`msi-proxy`)',
    settingsMarkdown(PROXY_CONFIGURATION),
    '## Monitor (`msi-monitor`)',
    settingsMarkdown(MONITOR_CONFIGURATION),
    '## Emulator (`imds-emulator`)',
    settingsMarkdown(EMULATOR_CONFIGURATION),
  ].join('\n\n');
}

interface WindowsCheck {
  readonly id: string;
  readonly assumption: string;
  readonly expected: string;
  readonly relied: boolean;
}

function windowsAssumptionsPage(): string {
  const checks = JSON.parse(
    readFileSync(new URL('scripts/verify-windows/checks.json', root), 'utf8'),
  ) as WindowsCheck[];
  const table = (wanted: readonly WindowsCheck[]) =>
    [
      '| Check | Assumption | Expected |',
      '| --- | --- | --- |',
      ...wanted.map(({ id, assumption, expected }) => `| \`${id}\` | ${assumption} | ${expected} |`),
    ].join('\n');
  return [
    '# What is assumed of Windows',
    noteOf('`scripts/verify-windows/checks.json`'),
    'None of this has been seen on a real Windows host yet: it comes from documentation, from other projects and from the records of the experiment that this project began with. `scripts/verify-windows.ps1` checks all of it on an agent; see [windows.md](windows.md#verify-an-agent).',
    '## The product relies on it',
    table(checks.filter(({ relied }) => relied)),
    '## The product has another way',
    'What is seen here helps to choose the better way, or tells what cannot work.',
    table(checks.filter(({ relied }) => !relied)),
  ].join('\n\n');
}

function readIfThere(file: URL): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
