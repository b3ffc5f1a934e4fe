import { settingNames, settingsFileSetting } from '../settings/configuration.ts';
import type { Setting } from '../settings/setting.ts';
import {
  choiceValue,
  type CommandDefinition,
  type OptionDefinition,
  type ProgramDefinition,
} from './program.ts';

/** Shows the settings in force instead of doing anything. */
export const PRINT_CONFIG = 'print-config';

/** The options that a command has because it reads settings: a file of them, and what would hold. */
export function commonSettingOptions(
  { configuration }: ProgramDefinition,
  { settings }: CommandDefinition,
): Readonly<Record<string, OptionDefinition<unknown>>> {
  if (configuration === undefined || settings === undefined) return {};
  const file = settingsFileSetting(configuration);
  return {
    [settingNames(file, configuration.prefix).flag]: {
      ...flagOf(file),
      summary: 'the settings file to read',
      placeholder: 'file',
    },
    [PRINT_CONFIG]: {
      summary: 'show the settings that would hold and what gave them, as text or JSON, and do nothing else',
      value: choiceValue(['text', 'json']),
      placeholder: 'format',
      impliedText: 'text',
    },
  };
}

/** A flag for each setting that a command reads. */
export function settingFlags(
  { configuration }: ProgramDefinition,
  { settings = {} }: CommandDefinition,
): Readonly<Record<string, OptionDefinition<unknown>>> {
  if (configuration === undefined) return {};
  return Object.fromEntries(
    Object.values(settings).map(setting => [
      settingNames(setting, configuration.prefix).flag,
      flagOf(setting),
    ]),
  );
}

/** Texts of settings are read all together, wherever they come from, so that all that is wrong is told at once. */
function flagOf({
  description,
  expectation,
  choices,
  impliedText,
}: Pick<
  Setting<unknown>,
  'description' | 'expectation' | 'choices' | 'impliedText'
>): OptionDefinition<unknown> {
  return {
    summary: description,
    value: { expectation, parse: text => text, ...(choices !== undefined && { choices }) },
    ...(impliedText !== undefined && { impliedText }),
  };
}
