import type { LoadedSettings } from './load-settings.ts';
import type { SettingsTable } from './read-settings.ts';

export interface UnseenFlagsOptions<Table extends SettingsTable> {
  readonly settings: Table;
  /** Settings that other commands of the program read too. */
  readonly names: readonly (keyof Table)[];
  /** Some of those commands, for the text. */
  readonly commands: string;
}

/**
 * Warnings about flags of a program that serves: its other commands, among them the one that a container engine runs as the
 * health check, do not see them.
 */
export function unseenFlags<Table extends SettingsTable>(
  { origins }: Pick<LoadedSettings<Table>, 'origins'>,
  { settings, names, commands }: UnseenFlagsOptions<Table>,
): string[] {
  return names.flatMap(name => {
    const origin = origins[name];
    if (origin.kind !== 'flag') return [];
    const { env } = settings[name]!;
    return [`${origin.name} is not seen by the other commands, such as ${commands}: use ${env} or the file`];
  });
}
