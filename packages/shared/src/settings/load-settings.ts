import { nearest } from '../command-line/nearest.ts';
import {
  defaultSettingsFile,
  settingNames,
  settingsFileSetting,
  type Configuration,
} from './configuration.ts';
import {
  environmentSource,
  unknownSettings,
  type Environment,
  type SettingsOf,
  type SettingsTable,
} from './read-settings.ts';
import { resolveSettings, type SettingsSource } from './resolve-settings.ts';
import { formatOrigin, type SettingOrigin } from './setting-origin.ts';
import { fileProblem, SettingsError, shownText, type SettingProblem } from './setting-problem.ts';
import { readSettingsFile } from './settings-file.ts';

/** The texts of flags by name, without the dashes. */
export type SettingFlags = Readonly<Record<string, string>>;

/** Where a program's settings come from, the settings file aside, which these name. */
export interface SettingsPlaces {
  readonly environment: Environment;
  readonly flags?: SettingFlags;
  /** As Node names it. */
  readonly platform: string;
}

export interface LoadedSettings<Table extends SettingsTable> {
  readonly values: SettingsOf<Table>;
  readonly origins: { readonly [Key in keyof Table]: SettingOrigin };
  readonly file: { readonly path: string; readonly isThere: boolean };
  /** What is worth a word, but in nobody's way. */
  readonly warnings: readonly string[];
}

/**
 * Reads settings from flags, environment and settings file; the first of these that gives a setting prevails.
 *
 * @param part those that are wanted, for a command that needs a few: what is wrong with others is then not its business
 * @throws {SettingsError} naming everything that is not as expected
 */
export async function loadSettings<Table extends SettingsTable>(
  configuration: Configuration,
  places: SettingsPlaces,
  part: Table,
): Promise<LoadedSettings<Table>> {
  const { environment, flags = {} } = places;
  const { settings, prefix } = configuration;
  const givenSources = [flagsSource(flags, prefix), environmentSource(environment)];
  const { path, namedBy } = settingsFilePath(configuration, places, givenSources);
  const file = await readSettingsFile(path, configuration, places.platform);

  const { values, origins, problems } = resolveSettings(part, [
    ...givenSources,
    ...(file === undefined ? [] : [file.source]),
  ]);
  const isPart = Object.keys(part).length < Object.keys(settings).length;
  const fileProblems = (file?.problems ?? []).filter(problem => !isPart || concerns(problem, part));
  const missing =
    file === undefined && namedBy !== undefined
      ? [fileProblem(path, `(${formatOrigin(namedBy)}) does not exist`)]
      : [];
  const all: SettingProblem[] = [...missing, ...fileProblems, ...problems];
  if (all.length > 0) throw new SettingsError(all);
  const warnings = [...(file?.warnings ?? []), ...unknownVariables(configuration, environment)];
  return { values, origins, file: { path, isThere: file !== undefined }, warnings };
}

/** Problems without a key are those of the file as a whole. */
function concerns({ env, key }: SettingProblem, part: SettingsTable): boolean {
  return key === undefined || Object.values(part).some(setting => setting.env === env);
}

function settingsFilePath(
  configuration: Configuration,
  places: SettingsPlaces,
  sources: readonly SettingsSource[],
): { path: string; namedBy?: SettingOrigin } {
  const { values, origins } = resolveSettings({ path: settingsFileSetting(configuration) }, sources);
  return values.path === ''
    ? { path: defaultSettingsFile(configuration, places) }
    : { path: values.path, namedBy: origins.path };
}

function flagsSource(flags: SettingFlags, prefix: string): SettingsSource {
  return setting => {
    const { flag } = settingNames(setting, prefix);
    const text = Object.hasOwn(flags, flag) ? flags[flag] : undefined;
    return text === undefined ? undefined : { text, origin: { kind: 'flag', name: `--${flag}` } };
  };
}

function unknownVariables(configuration: Configuration, environment: Environment): string[] {
  const { settings, prefix } = configuration;
  const table = { ...settings, '': settingsFileSetting(configuration) };
  const known = Object.values(table).map(({ env }) => env);
  return unknownSettings(table, environment, prefix).map(name => {
    const meant = nearest(name, known);
    const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
    return `${shownText(name)} is not a setting of this program and has no effect${hint}`;
  });
}
