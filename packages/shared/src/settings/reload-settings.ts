import type { Logger } from '../logging/logger.ts';
import { messageOf } from '../errors/msi-proxy-error.ts';
import { settingNames, type Configuration } from './configuration.ts';
import type { LoadedSettings } from './load-settings.ts';
import { formatValue, type SettingsOf, type SettingsTable } from './read-settings.ts';
import { SettingsError } from './setting-problem.ts';

export interface SettingsReloadOptions<Table extends SettingsTable> {
  readonly configuration: Configuration<Table>;
  /** Those that the program started with. */
  readonly loaded: LoadedSettings<Table>;
  /** Reads them anew. */
  readonly load: () => Promise<LoadedSettings<Table>>;
  /** Takes all settings; only those that can be changed differ from the ones before. */
  readonly apply: (settings: SettingsOf<Table>) => void;
  readonly logger: Logger;
}

/**
 * Takes over what was changed in the settings file of a running program, as far as it can be changed while it runs. A file
 * with anything wrong in it changes nothing.
 *
 * @returns what does it, one at a time
 */
export function settingsReload<Table extends SettingsTable>(
  options: SettingsReloadOptions<Table>,
): () => Promise<void> {
  const { configuration, load, apply, logger } = options;
  const { settings: table, prefix } = configuration;
  let current = options.loaded.values;

  const reload = async () => {
    let loaded: LoadedSettings<Table>;
    try {
      loaded = await load();
    } catch (error) {
      logReloadFailure(logger, error);
      return;
    }
    for (const warning of loaded.warnings) logger.warn(warning);
    const next: Record<string, unknown> = { ...current };
    const changed: Record<string, string> = {};
    const waiting: string[] = [];
    for (const [name, setting] of Object.entries(table)) {
      const before = formatValue(setting, current[name as keyof Table]);
      const after = formatValue(setting, loaded.values[name as keyof Table]);
      if (before === after) continue;
      const { key } = settingNames(setting, prefix);
      if (setting.reloadable === true) {
        next[name] = loaded.values[name as keyof Table];
        changed[key] = after;
      } else {
        waiting.push(key);
        logger.warn(`${key} was changed and needs a restart: "${before}" holds until then`, {
          key,
          wanted: after,
        });
      }
    }
    current = Object.freeze(next) as SettingsOf<Table>;
    apply(current);
    logger.info('Settings were read again', {
      file: loaded.file.path,
      isThere: loaded.file.isThere,
      changed,
      needRestart: waiting,
    });
  };

  let last = Promise.resolve();
  return () => (last = last.then(reload));
}

function logReloadFailure(logger: Logger, error: unknown): void {
  const hold = 'the settings stay as they are';
  if (!(error instanceof SettingsError)) {
    logger.error(`Settings could not be read again, ${hold}: ${messageOf(error)}`, { err: error });
    return;
  }
  for (const { text, ...fields } of error.problems) {
    logger.error(`${text}; ${hold}`, { code: error.code, ...fields });
  }
}
