import { settingNames, type Configuration } from './configuration.ts';
import { formatDefault } from './read-settings.ts';

/** The settings as a Markdown table, for the docs. */
export function settingsMarkdown({ settings, prefix }: Configuration): string {
  const rows = Object.values(settings).map(setting => {
    const { env, key, flag } = settingNames(setting, prefix);
    const shown = formatDefault(setting);
    const cells = [
      `\`${env}\``,
      `\`${key}\``,
      `\`--${flag}\``,
      setting.description,
      setting.expectation,
      shown === '' ? '–' : `\`${shown}\``,
      setting.reloadable === true ? 'yes' : '–',
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| Variable | In the file | Flag | Meaning | Value | Default | While it runs |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}
