import type { Configuration } from '../settings/configuration.ts';
import type { SettingFlags } from '../settings/load-settings.ts';
import type { PrintFormat } from '../settings/print-settings.ts';
import type { SettingsTable } from '../settings/read-settings.ts';

/**
 * A program's command line, told once: parsing, `--help`, completion and `docs/commands.md` come from it. Summaries are
 * phrases that begin with a small letter, descriptions whole sentences.
 */
export interface ProgramDefinition {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  /** By name; one of two words, such as `tokens flush`, comes after the command of its first word. */
  readonly commands: Readonly<Record<string, CommandDefinition>>;
  /** What is run when no command is named. Without one, the help is shown. */
  readonly defaultCommand?: string;
  /** All of its settings. Commands that read some have flags for those, and `--config` and `--print-config`. */
  readonly configuration?: Configuration;
  /** What the exit codes of all commands mean. */
  readonly exitCodes: ExitCodes;
  readonly examples: readonly CommandExample[];
}

export interface CommandDefinition {
  readonly summary: string;
  /** Paragraphs. */
  readonly description?: readonly string[];
  /** In the order in which they are written; those that may be left out come last. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the type differs from key to key; `any` lets each in
  readonly arguments?: Readonly<Record<string, ArgumentDefinition<any>>>;
  /** By name, without the dashes. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  readonly options?: Readonly<Record<string, OptionDefinition<any>>>;
  /** Names of arguments and options of which exactly one must be given. */
  readonly exactlyOneOf?: readonly string[];
  /** The settings that it reads. */
  readonly settings?: SettingsTable;
  /** Where they mean something else than for the other commands. */
  readonly exitCodes?: ExitCodes;
  readonly examples?: readonly CommandExample[];
  /** For programs, not for people: in no list and not completed. */
  readonly hidden?: true;
}

/** How the text of a value is read. A setting is one, too. */
export interface ValueKind<T> {
  /** Said in messages: `expected <expectation>`. */
  readonly expectation: string;
  /** The value, or `undefined` when the text is not as expected. */
  readonly parse: (text: string) => T | undefined;
  /** What it may be, where that can be listed; completed. */
  readonly choices?: readonly string[];
  /** The source that lists what it may be at the moment; see {@link CompletionSources}. */
  readonly completedFrom?: string;
}

export interface ArgumentDefinition<T> {
  readonly summary: string;
  readonly value: ValueKind<T>;
  readonly required?: boolean;
}

export interface OptionDefinition<T> {
  readonly summary: string;
  /** One letter. */
  readonly short?: string;
  /** Absent: the option has no value, and is true where it is given. */
  readonly value?: ValueKind<T>;
  /** Stands for the value in the help; the option's own name where it is left out. */
  readonly placeholder?: string;
  /** What the option means without a value, which is then written only after `=`. */
  readonly impliedText?: string;
}

export type ExitCodes = Readonly<Record<number, string>>;

export interface CommandExample {
  readonly command: string;
  readonly meaning: string;
}

/** Lists what can be completed, by {@link ValueKind.completedFrom}. One that fails completes nothing. */
export type CompletionSources = Readonly<Record<string, () => Promise<readonly string[]>>>;

type OptionValue<Option> = Option extends { readonly value: ValueKind<infer T> } ? T | undefined : boolean;

type ArgumentValue<Argument> =
  Argument extends ArgumentDefinition<infer T>
    ? Argument extends { readonly required: true }
      ? T
      : T | undefined
    : never;

type ValuesOf<Definitions, Kind extends 'arguments' | 'options'> = {
  readonly [Name in keyof Definitions]: Kind extends 'options'
    ? OptionValue<Definitions[Name]>
    : ArgumentValue<Definitions[Name]>;
};

type Part<Command, Kind extends 'arguments' | 'options'> =
  Command extends Readonly<Record<Kind, infer Definitions>>
    ? ValuesOf<Definitions, Kind>
    : Readonly<Record<string, never>>;

/** What the command line says of settings. */
export interface GivenSettings {
  readonly flags: SettingFlags;
  /** They are to be shown, and nothing else done. */
  readonly print?: PrintFormat;
}

/** A command that was named on the command line, with its values. */
export type Invocation<Program extends ProgramDefinition> = {
  readonly [Name in keyof Program['commands'] & string]: {
    readonly command: Name;
    readonly arguments: Part<Program['commands'][Name], 'arguments'>;
    readonly options: Part<Program['commands'][Name], 'options'>;
    readonly settings: GivenSettings;
  };
}[keyof Program['commands'] & string];

/** Gives a definition its exact type, from which the types of the values follow. */
export function defineProgram<const Program extends ProgramDefinition>(program: Program): Program {
  return program;
}

/** A value that is one of a few words. */
export function choiceValue<const T extends string>(choices: readonly T[]): ValueKind<T> {
  return {
    expectation: `one of ${choices.map(choice => `"${choice}"`).join(', ')}`,
    parse: text => choices.find(choice => choice === text),
    choices,
  };
}

/** A value that may be any text but an empty one. */
export function textValue(options: {
  readonly expectation: string;
  readonly completedFrom?: string;
}): ValueKind<string> {
  return { ...options, parse: text => (text === '' ? undefined : text) };
}
