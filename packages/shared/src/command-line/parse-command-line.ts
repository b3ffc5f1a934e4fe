import { parseArgs } from 'node:util';
import { printable } from '../policy/problem.ts';
import {
  BUILT_IN_COMMANDS,
  BUILT_IN_OPTIONS,
  findCommand,
  furtherCommands,
  listedCommands,
  type Shell,
} from './built-in-commands.ts';
import { locateCommand, takesNextWord } from './locate-command.ts';
import { nearest } from './nearest.ts';
import type {
  CommandDefinition,
  Invocation,
  OptionDefinition,
  ProgramDefinition,
  ValueKind,
} from './program.ts';
import { commonSettingOptions, PRINT_CONFIG, settingFlags } from './setting-options.ts';

export type CommandLine<Program extends ProgramDefinition> =
  | { readonly kind: 'invocation'; readonly invocation: Invocation<Program> }
  | { readonly kind: 'help'; readonly command?: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'completion'; readonly forShell: Shell }
  /** Nothing was asked for, and there is no default. */
  | { readonly kind: 'nothing' }
  | UsageProblem;

export interface UsageProblem {
  readonly kind: 'usage-problem';
  /** What is wrong, in words, with what was probably meant. */
  readonly problem: string;
  /** The command whose help tells more. */
  readonly command?: string;
}

/** Reads the words after a program's name. The first problem ends it: nothing is half understood. */
export function parseCommandLine<Program extends ProgramDefinition>(
  program: Program,
  argv: readonly string[],
): CommandLine<Program> {
  const { found, rest, unknown } = locateCommand(program, argv);
  if (unknown !== undefined) return unknownCommand(program, unknown);
  const name = found?.name ?? program.defaultCommand;
  const definition = found?.definition ?? program.commands[name ?? ''] ?? NO_COMMAND;
  try {
    const values = new CommandWords(
      program,
      definition,
      furtherCommands(program, name).map(([word]) => word),
    ).read(rest);
    if (values.options['help'] === true) {
      return { kind: 'help', ...(found !== undefined && { command: found.name }) };
    }
    if (values.options['version'] === true) return { kind: 'version' };
    if (name === undefined) return { kind: 'nothing' };
    checkPresence(definition, values);
    if (Object.hasOwn(BUILT_IN_COMMANDS, name)) return builtIn(program, name, values);
    // The values were read by the very definitions from which the type follows.
    const invocation = { command: name, ...values } as unknown as Invocation<Program>;
    return { kind: 'invocation', invocation };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return {
      kind: 'usage-problem',
      problem: error.message,
      ...(found !== undefined && { command: found.name }),
    };
  }
}

const NO_COMMAND: CommandDefinition = { summary: '' };

/** Ends the reading of a command line. */
class Problem extends Error {}

interface Values {
  readonly arguments: Record<string, unknown>;
  readonly options: Record<string, unknown>;
  readonly settings: { readonly flags: Record<string, string>; print?: unknown };
}

/** Reads the words after a command's name. */
class CommandWords {
  readonly #definition: CommandDefinition;
  readonly #flags: Readonly<Record<string, OptionDefinition<unknown>>>;
  readonly #known: Readonly<Record<string, OptionDefinition<unknown>>>;
  readonly #furtherWords: readonly string[];
  readonly #values: Values;
  readonly #given = new Set<string>();

  /** @param further second words that would have made it another command */
  constructor(program: ProgramDefinition, definition: CommandDefinition, further: readonly string[]) {
    this.#definition = definition;
    this.#furtherWords = further;
    this.#flags = { ...settingFlags(program, definition), ...commonSettingOptions(program, definition) };
    this.#known = { ...this.#flags, ...definition.options, ...BUILT_IN_OPTIONS };
    const absent = Object.entries(definition.options ?? {}).map(([name, { value }]) => [
      name,
      value === undefined ? false : undefined,
    ]);
    this.#values = {
      arguments: {},
      options: Object.fromEntries(absent) as Values['options'],
      settings: { flags: {} },
    };
  }

  /** @throws {Problem} */
  read(argv: readonly string[]): Values {
    const { tokens } = parseArgs({
      args: [...argv],
      // What is not as expected is told here, in our own words and with what was probably meant.
      strict: false,
      tokens: true,
      options: Object.fromEntries(
        Object.entries(this.#known).map(([name, option]) => [
          name,
          {
            type: takesNextWord(option) ? 'string' : 'boolean',
            ...(option.short !== undefined && { short: option.short }),
          },
        ]),
      ),
    });
    for (const token of tokens) {
      if (token.kind === 'positional') this.#addArgument(token.value);
      if (token.kind === 'option') this.#addOption(token);
    }
    return this.#values;
  }

  #addArgument(text: string): void {
    const places = Object.entries(this.#definition.arguments ?? {});
    const [name, argument] = places[Object.keys(this.#values.arguments).length] ?? [];
    if (name === undefined || argument === undefined) {
      const names = places.map(([key]) => `<${key}>`);
      const takes = names.length === 0 ? 'no arguments' : `only ${names.join(' ')}`;
      const meant = didYouMean(nearest(text, this.#furtherWords));
      throw new Problem(`unexpected argument "${printable(text)}": expected ${takes}${meant}`);
    }
    this.#values.arguments[name] = readValue(`<${name}>`, text, argument.value);
  }

  #addOption({ name, rawName, value: text, inlineValue }: OptionToken): void {
    const option = Object.hasOwn(this.#known, name) ? this.#known[name] : undefined;
    if (option === undefined) {
      const meant = nearest(name, Object.keys(this.#known));
      throw new Problem(`unknown option "${printable(rawName)}"${didYouMean(meant && `--${meant}`)}`);
    }
    if (this.#given.has(name)) throw new Problem(`${rawName} is given more than once`);
    this.#given.add(name);
    if (option.value === undefined) {
      if (text !== undefined) throw new Problem(`${rawName} takes no value`);
      this.#values.options[name] = true;
      return;
    }
    const written = text ?? option.impliedText;
    // An option that follows is more likely than a value that begins with a dash; such a one is written after `=`.
    if (written === undefined || (inlineValue === false && /^-./.test(written))) {
      throw new Problem(`${rawName} has no value: expected ${option.value.expectation}`);
    }
    this.#keep(name, readValue(rawName, written, option.value));
  }

  #keep(name: string, value: unknown): void {
    const { options, settings } = this.#values;
    if (!Object.hasOwn(this.#flags, name)) options[name] = value;
    else if (name === PRINT_CONFIG) settings.print = value;
    else settings.flags[name] = String(value);
  }
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

/** @throws {Problem} */
function readValue(
  what: string,
  text: string,
  { parse, expectation, choices = [] }: ValueKind<unknown>,
): unknown {
  const value = parse(text);
  if (value !== undefined) return value;
  const meant = didYouMean(nearest(text, choices));
  throw new Problem(`${what} is "${printable(text)}": expected ${expectation}${meant}`);
}

/** @throws {Problem} */
function checkPresence(
  { arguments: places = {}, options = {}, exactlyOneOf }: CommandDefinition,
  values: Values,
): void {
  const isGiven = (key: string) =>
    ![undefined, false].includes((values.arguments[key] ?? values.options[key]) as false);
  for (const [key, { required, value }] of Object.entries(places)) {
    if (required === true && !isGiven(key))
      throw new Problem(`<${key}> is missing: expected ${value.expectation}`);
  }
  if (exactlyOneOf !== undefined && exactlyOneOf.filter(isGiven).length !== 1) {
    const shown = exactlyOneOf.map(key => (Object.hasOwn(options, key) ? `--${key}` : `<${key}>`));
    throw new Problem(`expected exactly one of ${shown.join(', ')}`);
  }
}

function builtIn(
  program: ProgramDefinition,
  name: string,
  { arguments: written }: Values,
):
  | { readonly kind: 'completion'; readonly forShell: Shell }
  | { readonly kind: 'help'; readonly command?: string }
  | UsageProblem {
  if (name === 'completion') return { kind: 'completion', forShell: written['shell'] as Shell };
  const command = written['command'] as string | undefined;
  if (command === undefined) return { kind: 'help' };
  const found = findCommand(program, command.split(' '));
  return found === undefined ? unknownCommand(program, command) : { kind: 'help', command: found.name };
}

function unknownCommand(program: ProgramDefinition, written: string): UsageProblem {
  const names = listedCommands(program).map(([name]) => name);
  const problem = `unknown command "${printable(written)}"${didYouMean(nearest(written, names))}`;
  return { kind: 'usage-problem', problem };
}

function didYouMean(meant: string | undefined): string {
  return meant === undefined ? '' : ` (did you mean "${meant}"?)`;
}
