import { BUILT_IN_OPTIONS, furtherCommands, listedCommands } from './built-in-commands.ts';
import { locateCommand, takesNextWord } from './locate-command.ts';
import type {
  CommandDefinition,
  CompletionSources,
  OptionDefinition,
  ProgramDefinition,
  ValueKind,
} from './program.ts';
import { commonSettingOptions, settingFlags } from './setting-options.ts';

export interface Candidate {
  readonly word: string;
  /** Shown beside it, by shells that can. */
  readonly summary?: string;
}

/**
 * What the word that is being written can become.
 *
 * @param words those after the program's name; the last one is being written, and may be empty
 */
export async function complete(
  program: ProgramDefinition,
  words: readonly string[],
  sources: CompletionSources = {},
): Promise<Candidate[]> {
  const allSources: CompletionSources = {
    command: () => Promise.resolve(listedCommands(program).map(([name]) => name)),
    ...sources,
  };
  const line = joinAtEquals(words);
  const current = line.at(-1) ?? '';
  const before = line.slice(0, -1);
  const candidates = await candidatesFor(program, before, current, allSources);
  // bash takes `=` for a word of its own and replaces only what follows it.
  const prefix =
    words.at(-1) === '=' || words.at(-2) === '=' ? current.slice(0, current.indexOf('=') + 1) : '';
  return candidates
    .filter(({ word }) => word.startsWith(current))
    .map(candidate => ({ ...candidate, word: candidate.word.slice(prefix.length) }));
}

async function candidatesFor(
  program: ProgramDefinition,
  before: readonly string[],
  current: string,
  sources: CompletionSources,
): Promise<Candidate[]> {
  const { found, rest, unknown } = locateCommand(program, before);
  if (unknown !== undefined) return [];
  const name = found?.name ?? program.defaultCommand ?? '';
  const definition: CommandDefinition | undefined = found?.definition ?? program.commands[name];
  const further = found !== undefined && rest.length === 0 ? furtherCommands(program, found.name) : [];
  if (definition === undefined || (before.length === 0 && !current.startsWith('-'))) {
    return commandsOf(program, current);
  }

  const options: Readonly<Record<string, OptionDefinition<unknown>>> = {
    ...definition.options,
    ...commonSettingOptions(program, definition),
    ...BUILT_IN_OPTIONS,
    ...settingFlags(program, definition),
  };
  const previous = optionNamed(before.at(-1), options);
  if (previous?.value !== undefined && takesNextWord(previous)) {
    return await valuesOf(previous.value, sources);
  }
  if (current.startsWith('-')) return await optionsFor(current, before, options, sources);

  const written = positionals(rest, options).length;
  const argument = Object.values(definition.arguments ?? {})[written];
  return [
    ...further.map(([word, { summary }]) => ({ word, summary })),
    ...(argument === undefined ? [] : await valuesOf(argument.value, sources)),
  ];
}

function commandsOf(program: ProgramDefinition, current: string): Candidate[] {
  if (current.startsWith('-')) {
    return Object.entries(BUILT_IN_OPTIONS).map(([name, { summary }]) => ({ word: `--${name}`, summary }));
  }
  return listedCommands(program)
    .filter(([name]) => !name.includes(' '))
    .map(([word, { summary }]) => ({ word, summary }));
}

async function optionsFor(
  current: string,
  before: readonly string[],
  options: Readonly<Record<string, OptionDefinition<unknown>>>,
  sources: CompletionSources,
): Promise<Candidate[]> {
  const [, name] = /^--([^=]+)=/.exec(current) ?? [];
  if (name !== undefined) {
    const value = Object.hasOwn(options, name) ? options[name]?.value : undefined;
    const candidates = value === undefined ? [] : await valuesOf(value, sources);
    return candidates.map(candidate => ({ ...candidate, word: `--${name}=${candidate.word}` }));
  }
  return Object.entries(options)
    .filter(([key]) => !before.some(word => word === `--${key}` || word.startsWith(`--${key}=`)))
    .map(([key, { summary }]) => ({ word: `--${key}`, summary }));
}

function optionNamed(
  word: string | undefined,
  options: Readonly<Record<string, OptionDefinition<unknown>>>,
): OptionDefinition<unknown> | undefined {
  const name = word?.startsWith('--') === true ? word.slice(2) : '';
  return Object.hasOwn(options, name) ? options[name] : undefined;
}

function positionals(
  words: readonly string[],
  options: Readonly<Record<string, OptionDefinition<unknown>>>,
): string[] {
  return words.filter((word, index) => {
    const previous = optionNamed(words[index - 1], options);
    return !word.startsWith('-') && (previous === undefined || !takesNextWord(previous));
  });
}

async function valuesOf(
  { choices, completedFrom = '' }: ValueKind<unknown>,
  sources: CompletionSources,
): Promise<Candidate[]> {
  if (choices !== undefined) return choices.map(word => ({ word }));
  const source = Object.hasOwn(sources, completedFrom) ? sources[completedFrom] : undefined;
  try {
    return ((await source?.()) ?? []).map(word => ({ word }));
  } catch {
    // Somebody is writing: an error has no place there.
    return [];
  }
}

/** `--name`, `=`, `value` are one word. */
function joinAtEquals(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of words) {
    const last = joined.at(-1);
    const continues = word === '=' || last?.endsWith('=') === true;
    if (continues && last?.startsWith('--') === true) joined[joined.length - 1] = last + word;
    else joined.push(word);
  }
  return joined;
}
