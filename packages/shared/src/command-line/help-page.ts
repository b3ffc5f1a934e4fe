import { defaultSettingsFile, settingNames, settingsFileSetting } from '../settings/configuration.ts';
import { formatDefault } from '../settings/read-settings.ts';
import { BUILT_IN_COMMANDS, BUILT_IN_OPTIONS, listedCommands } from './built-in-commands.ts';
import type {
  CommandDefinition,
  CommandExample,
  ExitCodes,
  OptionDefinition,
  ProgramDefinition,
} from './program.ts';
import { commonSettingOptions, settingFlags } from './setting-options.ts';
import { commandSynopsis, optionWithValue, synopsisOf } from './synopsis.ts';
import { wrapText } from './wrap-text.ts';

export interface HelpOptions {
  /** A line's length, in characters. */
  readonly width?: number;
}

const DEFAULT_WIDTH = 80;
const INDENT = 4;

/** The help of a program, in the sections of a manual page. */
export function programHelp(program: ProgramDefinition, { width = DEFAULT_WIDTH }: HelpOptions = {}): string {
  const { name, summary, description, defaultCommand, exitCodes, examples } = program;
  const commands = listedCommands(program);
  const settings = Object.assign({}, ...commands.map(([, command]) => command.settings)) as NonNullable<
    CommandDefinition['settings']
  >;
  return new Page(width)
    .section('NAME', page => page.text(`${name} - ${summary}`))
    .section('SYNOPSIS', page => {
      page.line(`${name} ${defaultCommand === undefined ? '<command>' : '[<command>]'} [<options>]`);
      page.line(`${name} <command> --help`);
    })
    .section('DESCRIPTION', page => page.paragraphs(description))
    .section('COMMANDS', page => {
      for (const [command, definition] of commands) {
        const suffix = command === defaultCommand ? ' (default)' : '';
        page.entry([command, synopsisOf(definition)].join(' ').trim(), definition.summary + suffix);
      }
    })
    .section('OPTIONS', page => optionEntries(page, BUILT_IN_OPTIONS))
    .section('EXIT STATUS', page => exitCodeEntries(page, exitCodes))
    .section('SETTINGS', page => settingEntries(page, program, settings))
    .section('EXAMPLES', page => exampleEntries(page, examples))
    .toString();
}

/** The help of one of a program's commands, in the sections of a manual page. */
export function commandHelp(
  program: ProgramDefinition,
  commandName: string,
  { width = DEFAULT_WIDTH }: HelpOptions = {},
): string {
  const all: Readonly<Record<string, CommandDefinition>> = { ...program.commands, ...BUILT_IN_COMMANDS };
  const command = all[commandName]!;
  const {
    summary,
    description = [],
    arguments: places = {},
    options,
    exitCodes,
    settings,
    examples,
  } = command;
  return new Page(width)
    .section('NAME', page => page.text(`${program.name} ${commandName} - ${summary}`))
    .section('SYNOPSIS', page => page.line(commandSynopsis(program.name, commandName, command)))
    .section('DESCRIPTION', page => page.paragraphs(description))
    .section('ARGUMENTS', page => {
      for (const [name, argument] of Object.entries(places)) {
        page.entry(`<${name}>`, expected(argument.summary, argument.value));
      }
    })
    .section('OPTIONS', page =>
      optionEntries(page, { ...options, ...commonSettingOptions(program, command), ...BUILT_IN_OPTIONS }),
    )
    .section('EXIT STATUS', page => exitCodeEntries(page, { ...program.exitCodes, ...exitCodes }))
    .section('SETTINGS', page => settingEntries(page, program, settings ?? {}))
    .section('EXAMPLES', page => exampleEntries(page, examples ?? []))
    .toString();
}

/** Sections that nothing was written into are left out. */
class Page {
  readonly #width: number;
  readonly #sections: string[] = [];
  #lines: string[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  section(title: string, write: (page: Page) => void): this {
    this.#lines = [];
    write(this);
    if (this.#lines.length > 0) this.#sections.push([title, ...this.#lines].join('\n'));
    return this;
  }

  line(text: string, depth = 1): void {
    this.#lines.push(' '.repeat(depth * INDENT) + text);
  }

  text(text: string, depth = 1): void {
    for (const line of wrapText(text, this.#width - depth * INDENT)) this.line(line, depth);
  }

  paragraphs(paragraphs: readonly string[]): void {
    paragraphs.forEach((paragraph, index) => {
      if (index > 0) this.#lines.push('');
      this.text(paragraph);
    });
  }

  entry(term: string, ...explanations: string[]): void {
    this.line(term);
    for (const explanation of explanations) this.text(explanation, 2);
  }

  toString(): string {
    return `${this.#sections.join('\n\n')}\n`;
  }
}

function optionEntries(page: Page, options: Readonly<Record<string, OptionDefinition<unknown>>>): void {
  for (const [name, option] of Object.entries(options)) {
    const short = option.short === undefined ? '' : `-${option.short}, `;
    page.entry(`${short}${optionWithValue(name, option)}`, expected(option.summary, option.value));
  }
}

function exitCodeEntries(page: Page, exitCodes: ExitCodes): void {
  for (const [code, meaning] of Object.entries(exitCodes)) page.entry(code, meaning);
}

function settingEntries(
  page: Page,
  program: ProgramDefinition,
  settings: NonNullable<CommandDefinition['settings']>,
): void {
  const { configuration } = program;
  const flags = settingFlags(program, { summary: '', settings });
  if (configuration !== undefined && Object.keys(settings).length > 0) {
    page.paragraphs([settingsParagraph(configuration)]);
  }
  for (const setting of Object.values(settings)) {
    const { env, key, flag } = settingNames(setting, configuration?.prefix ?? '');
    const option = flags[flag];
    page.entry(
      env,
      setting.description,
      `Expected: ${setting.expectation}`,
      `Default: ${formatDefault(setting) || '(none)'}`,
      ...(option === undefined
        ? []
        : [`Flag: ${optionWithValue(flag, { ...option, placeholder: 'value' })}, in the file: ${key}`]),
    );
  }
}

function settingsParagraph(configuration: NonNullable<ProgramDefinition['configuration']>): string {
  const [path, windowsPath] = ['linux', 'win32'].map(platform =>
    defaultSettingsFile(configuration, { platform, environment: { ProgramData: '%ProgramData%' } }),
  );
  const { env } = settingsFileSetting(configuration);
  return `Each can be given by a flag, by its variable, or in a file: ${path}, on Windows ${windowsPath}, or the one that --config or ${env} names. A flag prevails over the variable, and the variable over the file.`;
}

function exampleEntries(page: Page, examples: readonly CommandExample[]): void {
  for (const { command, meaning } of examples) {
    page.text(`${meaning}:`);
    page.line(command, 2);
  }
}

function expected(summary: string, value: { readonly expectation: string } | undefined): string {
  return value === undefined ? summary : `${summary}: ${value.expectation}`;
}
