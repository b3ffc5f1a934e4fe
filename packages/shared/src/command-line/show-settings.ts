import { EXIT_CONFIG, EXIT_OK } from '../errors/exit-codes.ts';
import { loadSettings } from '../settings/load-settings.ts';
import { printedSettings } from '../settings/print-settings.ts';
import { SettingsError } from '../settings/setting-problem.ts';
import type { CommandLineOptions } from './open-command-line.ts';
import type { GivenSettings, ProgramDefinition } from './program.ts';

/**
 * Shows the settings that a command would have, and what is wrong with them or worth a word.
 *
 * @returns the exit code
 */
export async function showSettings(
  program: ProgramDefinition,
  { command, settings: { flags, print } }: { readonly command: string; readonly settings: GivenSettings },
  { environment, platform, stdout, stderr }: CommandLineOptions,
): Promise<number> {
  // Only commands that read settings can be asked for them.
  const configuration = program.configuration!;
  const part = program.commands[command]!.settings!;
  try {
    const loaded = await loadSettings(configuration, { environment, flags, platform }, part);
    for (const warning of loaded.warnings) stderr.write(`${warning}\n`);
    stdout.write(printedSettings(configuration, part, loaded, print ?? 'text'));
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    for (const { text } of error.problems) stderr.write(`${error.code}: ${text}\n`);
    return EXIT_CONFIG;
  }
}
