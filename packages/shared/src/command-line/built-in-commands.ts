import { choiceValue, textValue, type CommandDefinition, type ProgramDefinition } from './program.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Named by the completion scripts, followed by the words on the line; the last one is being written. */
export const COMPLETE_COMMAND = '__complete';

export const BUILT_IN_COMMANDS = {
  help: {
    summary: 'show this text, or that of a command',
    arguments: {
      command: {
        summary: 'the command',
        value: textValue({ expectation: 'a command', completedFrom: 'command' }),
      },
    },
  },
  completion: {
    summary: 'print a script that teaches a shell to complete this program’s command lines',
    description: [
      'The script asks the program itself what can follow, so that it need not be printed anew for another version.',
    ],
    // eslint-disable-next-line no-restricted-syntax -- the name of an argument; nothing is run
    arguments: { shell: { summary: 'the shell', value: choiceValue(SHELLS), required: true } },
  },
} as const satisfies Record<string, CommandDefinition>;

export const BUILT_IN_OPTIONS = {
  help: { summary: 'show help and do nothing else', short: 'h' },
  version: { summary: 'show the version and do nothing else' },
} as const;

/** The program's own commands and those that every program has, without hidden ones. */
export function listedCommands({ commands }: ProgramDefinition): [name: string, CommandDefinition][] {
  return Object.entries<CommandDefinition>({ ...commands, ...BUILT_IN_COMMANDS }).filter(
    ([, { hidden }]) => hidden !== true,
  );
}

/** The command whose name the words begin with, the longest one if there are several. */
export function findCommand(
  { commands }: ProgramDefinition,
  [first = '', second = '']: readonly string[],
): { readonly name: string; readonly definition: CommandDefinition; readonly words: number } | undefined {
  const all: Readonly<Record<string, CommandDefinition>> = { ...commands, ...BUILT_IN_COMMANDS };
  for (const [name, words] of [
    [`${first} ${second}`, 2],
    [first, 1],
  ] as const) {
    const definition = Object.hasOwn(all, name) ? all[name] : undefined;
    if (definition !== undefined) return { name, definition, words };
  }
  return undefined;
}

/** The second words of the commands that begin with a command's name. */
export function furtherCommands(
  program: ProgramDefinition,
  name: string | undefined,
): [secondWord: string, CommandDefinition][] {
  return listedCommands(program)
    .filter(([other]) => other.startsWith(`${name ?? ''} `))
    .map(([other, definition]) => [other.slice(other.indexOf(' ') + 1), definition]);
}
