import { settingNames, type Configuration } from './configuration.ts';
import type { LoadedSettings } from './load-settings.ts';
import { formatValue, type SettingsTable } from './read-settings.ts';
import { formatOrigin } from './setting-origin.ts';
import { shownText } from './setting-problem.ts';

export type PrintFormat = 'text' | 'json';

/**
 * The settings in force with what gave each its value. The text is a settings file that would give the same.
 *
 * @param part those that were loaded
 */
export function printedSettings<Table extends SettingsTable>(
  { prefix }: Configuration,
  part: Table,
  { values, origins, file }: LoadedSettings<Table>,
  format: PrintFormat,
): string {
  const shown = Object.entries(part).map(([name, setting]) => {
    const { key, flag, env } = settingNames(setting, prefix);
    const value = formatValue(setting, values[name as keyof Table]);
    return { key, value, env, flag, origin: origins[name as keyof Table] };
  });
  if (format === 'json') {
    const settings = shown.map(({ key, value, env, flag, origin }) => [
      key,
      { value, from: origin.kind, at: formatOrigin(origin), env, flag: `--${flag}` },
    ]);
    return `${JSON.stringify({ file, settings: Object.fromEntries(settings) as unknown }, undefined, 2)}\n`;
  }
  const pairs = shown.map(({ key, value, origin }) => ({
    pair: `${key}:${value === '' ? '' : ` ${yamlScalar(value)}`}`,
    origin: shownText(formatOrigin(origin)),
  }));
  const width = Math.max(...pairs.map(({ pair }) => pair.length));
  return [
    `# ${shownText(file.path)}${file.isThere ? '' : ' is not there'}`,
    ...pairs.map(({ pair, origin }) => `${pair.padEnd(width)}  # ${origin}`),
    '',
  ].join('\n');
}

/** Plain where nothing could be read otherwise. */
function yamlScalar(text: string): string {
  const isPlain = /^[A-Za-z0-9/.](?:[A-Za-z0-9/._:,-]*[A-Za-z0-9/._,-])?$/.test(text) && text !== 'null';
  return isPlain ? text : JSON.stringify(text);
}
