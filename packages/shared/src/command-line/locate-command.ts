import { BUILT_IN_COMMANDS, BUILT_IN_OPTIONS, findCommand } from './built-in-commands.ts';
import type { CommandDefinition, OptionDefinition, ProgramDefinition } from './program.ts';
import { commonSettingOptions, settingFlags } from './setting-options.ts';

export interface LocatedCommand {
  readonly found?: { readonly name: string; readonly definition: CommandDefinition };
  /** The words without those of the command's name. */
  readonly rest: readonly string[];
  /** The word in the place of a command, which is none. */
  readonly unknown?: string;
}

/**
 * Finds the command among a program's words: the first that is neither an option nor the value of one. Options are those of
 * all commands, because which one it is cannot be known before; none means one thing here and another there.
 */
export function locateCommand(program: ProgramDefinition, argv: readonly string[]): LocatedCommand {
  const start = commandIndex(program, argv);
  if (start === undefined) return { rest: argv };
  const found = findCommand(program, argv.slice(start));
  if (found === undefined) return { rest: argv, unknown: argv[start]! };
  const { name, definition, words } = found;
  return { found: { name, definition }, rest: argv.toSpliced(start, words) };
}

/** Whether an option takes the word after it for its value. */
export function takesNextWord({ value, impliedText }: OptionDefinition<unknown>): boolean {
  return value !== undefined && impliedText === undefined;
}

function commandIndex(program: ProgramDefinition, argv: readonly string[]): number | undefined {
  if (argv[0]?.startsWith('-') === false) return 0;
  const options = new Map<string, OptionDefinition<unknown>>();
  for (const command of Object.values<CommandDefinition>({ ...program.commands, ...BUILT_IN_COMMANDS })) {
    const all = {
      ...settingFlags(program, command),
      ...commonSettingOptions(program, command),
      ...command.options,
      ...BUILT_IN_OPTIONS,
    };
    for (const [name, option] of Object.entries<OptionDefinition<unknown>>(all)) {
      options.set(`--${name}`, option);
      if (option.short !== undefined) options.set(`-${option.short}`, option);
    }
  }
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index]!;
    if (!word.startsWith('-')) return index;
    const option = options.get(word.replace(/^(--[^=]+)=.*$/s, '$1'));
    // Not known, or `--`, after which words are arguments: said when the words are read.
    if (option === undefined) return undefined;
    if (takesNextWord(option) && !word.includes('=')) index += 1;
  }
  return undefined;
}
