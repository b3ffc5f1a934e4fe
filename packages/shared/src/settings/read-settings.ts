import { resolveSettings, type SettingsSource } from './resolve-settings.ts';
import { SettingsError } from './setting-problem.ts';
import type { Setting } from './setting.ts';

// The values' types differ from key to key; `never` in parameter position lets any Setting<T> in.
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above; the mapped type below restores each type
export type SettingsTable = Readonly<Record<string, Setting<any>>>;

export type SettingsOf<Table extends SettingsTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer T> ? T : never;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads all settings of a table from the environment alone. Programs that also have flags and a file use `loadSettings`.
 * White space around values is ignored, and an empty value counts as not set.
 *
 * @throws {SettingsError} naming every value that is not as expected
 */
export function readSettings<Table extends SettingsTable>(
  table: Table,
  environment: Environment,
): SettingsOf<Table> {
  const { values, problems } = resolveSettings(table, [environmentSource(environment)]);
  if (problems.length > 0) throw new SettingsError(problems);
  return values;
}

export function environmentSource(environment: Environment): SettingsSource {
  return ({ env: name }) => {
    const text = environment[name];
    return text === undefined ? undefined : { text, origin: { kind: 'environment', name } };
  };
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

/** A value as it can be given; empty for nothing. */
export function formatValue<T>(setting: Setting<T>, value: T): string {
  return value === undefined ? '' : setting.format(value);
}
