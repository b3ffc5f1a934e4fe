import { win32 } from 'node:path';
import type { Environment, SettingsTable } from './read-settings.ts';
import { textSetting, type Setting } from './setting.ts';

/** The settings of a program and how they are called where they are given. */
export interface Configuration<Table extends SettingsTable = SettingsTable> {
  readonly settings: Table;
  /** Of its variables, such as `MSI_PROXY_`. */
  readonly prefix: string;
  /** Of its settings file, in the folder that such files are looked for in. */
  readonly fileName: string;
}

/** What a setting is called where it is given. */
export interface SettingNames {
  readonly env: string;
  /** In the settings file. */
  readonly key: string;
  /** On the command line, without the dashes. */
  readonly flag: string;
}

/** All names follow from the variable: `MSI_MONITOR_LOG_LEVEL` is `logLevel` in the file, and `--log-level`. */
export function settingNames({ env }: Pick<Setting<unknown>, 'env'>, prefix: string): SettingNames {
  const words = (env.startsWith(prefix) ? env.slice(prefix.length) : env).toLowerCase().split('_');
  const key = words.map((word, index) => (index === 0 ? word : capitalized(word))).join('');
  return { env, key, flag: words.join('-') };
}

/** The setting that names another settings file; the only one that cannot be given in it. */
export function settingsFileSetting({ prefix }: Configuration): Setting<string> {
  return textSetting({
    env: `${prefix}CONFIG`,
    description: 'Another settings file than the usual one.',
    defaultValue: '',
    expectation: 'the path of a YAML file',
    parse: path => path,
  });
}

/** Where a program's settings file is looked for when none is named. */
export function defaultSettingsFile(
  { fileName }: Configuration,
  { platform, environment }: { readonly platform: string; readonly environment: Environment },
): string {
  if (platform !== 'win32') return `/etc/msi-proxy/${fileName}`;
  return win32.join(environment['ProgramData'] ?? String.raw`C:\ProgramData`, 'msi-proxy', fileName);
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
