import { MsiProxyError } from '../errors/msi-proxy-error.ts';
import { printable } from '../policy/problem.ts';
import type { Setting } from './setting.ts';

// The values' types differ from key to key; `never` in parameter position lets any Setting<T> in.
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above; the mapped type below restores each type
export type SettingsTable = Readonly<Record<string, Setting<any>>>;

export type SettingsOf<Table extends SettingsTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer T> ? T : never;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** One setting whose value cannot be used. */
export interface SettingProblem {
  readonly env: string;
  readonly value: string;
  readonly expected: string;
}

/** Thrown by {@link readSettings} with every problem at once. Programs exit with code 78. */
export class SettingsError extends MsiProxyError {
  override readonly name = 'SettingsError';
  readonly problems: readonly SettingProblem[];

  constructor(problems: readonly SettingProblem[]) {
    const lines = problems.map(({ env, value, expected }) => `${env} is "${value}": expected ${expected}`);
    super('MSI_SETTINGS_INVALID', lines.join('; '));
    this.problems = problems;
  }
}

/**
 * Reads all settings of a table. White space around values is ignored, and an empty value counts as not set, which is
 * what `-e NAME=` and empty lines of an env file mean.
 *
 * @throws {SettingsError} naming every value that is not as expected
 */
export function readSettings<Table extends SettingsTable>(
  table: Table,
  environment: Environment,
): SettingsOf<Table> {
  const problems: SettingProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(table)) {
    const text = environment[setting.env]?.trim() ?? '';
    const value: unknown = text === '' ? setting.defaultValue : setting.parse(text);
    if (value === undefined && text !== '') {
      problems.push({ env: setting.env, value: printable(text), expected: setting.expectation });
    }
    values[key] = value;
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return Object.freeze(values) as SettingsOf<Table>;
}

/**
 * Variables that carry the program's prefix but are no setting: usually a misspelling, and worth a warning. No error,
 * because schedulers add variables of their own (`MSI_PROXY_PORT_80_TCP` for a service called msi-proxy).
 */
export function unknownSettings(table: SettingsTable, environment: Environment, prefix: string): string[] {
  const known = new Set(Object.values(table).map(setting => setting.env));
  return Object.keys(environment).filter(name => name.startsWith(prefix) && !known.has(name));
}

/** The settings in force, as text by variable name, for the start-up log line. */
export function effectiveSettings<Table extends SettingsTable>(
  table: Table,
  values: SettingsOf<Table>,
): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const [key, setting] of Object.entries(table)) {
    shown[setting.env] = formatValue(setting, values[key as keyof Table]);
  }
  return shown;
}

/** What holds when it is not set, as text; empty for nothing. */
export function formatDefault<T>(setting: Setting<T>): string {
  return formatValue(setting, setting.defaultValue);
}

/** The settings as a Markdown table, for the docs. */
export function settingsMarkdown(table: SettingsTable): string {
  const rows = Object.values(table).map(setting => {
    const shown = formatDefault(setting);
    return `| \`${setting.env}\` | ${setting.description} | ${setting.expectation} | ${shown === '' ? '–' : `\`${shown}\``} |`;
  });
  return ['| Variable | Meaning | Value | Default |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function formatValue<T>(setting: Setting<T>, value: T): string {
  return value === undefined ? '' : setting.format(value);
}
