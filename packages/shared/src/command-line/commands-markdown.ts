import { BUILT_IN_OPTIONS, listedCommands } from './built-in-commands.ts';
import type { CommandDefinition, OptionDefinition, ProgramDefinition } from './program.ts';
import { commonSettingOptions } from './setting-options.ts';
import { commandSynopsis, optionWithValue } from './synopsis.ts';

/** A program's command line as Markdown, for the docs; its heading is of the second level. */
export function commandsMarkdown(program: ProgramDefinition): string {
  const { name, summary, description, exitCodes, examples } = program;
  return [
    `## ${name}`,
    `${name} – ${summary}.`,
    ...description,
    ...optionList(BUILT_IN_OPTIONS),
    ...exitCodeTable(exitCodes),
    ...exampleBlock(examples),
    ...listedCommands(program).flatMap(([command, definition]) =>
      commandSection(program, command, definition),
    ),
  ].join('\n\n');
}

function commandSection(
  program: ProgramDefinition,
  command: string,
  definition: CommandDefinition,
): string[] {
  const {
    summary,
    description = [],
    arguments: places = {},
    options = {},
    exitCodes = {},
    settings = {},
  } = definition;
  const variables = Object.values(settings).map(({ env }) => `\`${env}\``);
  return [
    `### ${program.name} ${command}`,
    fenced('text', commandSynopsis(program.name, command, definition)),
    `${sentence(summary)}${command === program.defaultCommand ? ' This is what happens without any command.' : ''}`,
    ...description,
    list(
      Object.entries(places).map(
        ([key, { summary: what, value }]) => `\`<${key}>\`: ${what}: ${value.expectation}`,
      ),
    ),
    ...optionList({ ...options, ...commonSettingOptions(program, definition) }),
    ...exitCodeTable(exitCodes),
    variables.length === 0
      ? ''
      : `Settings that it reads, each of which is also a flag: ${variables.join(', ')}.`,
    ...exampleBlock(definition.examples ?? []),
  ].filter(part => part !== '');
}

function optionList(options: Readonly<Record<string, OptionDefinition<unknown>>>): string[] {
  const items = Object.entries(options).map(([key, option]) => {
    const short = option.short === undefined ? '' : `\`-${option.short}\`, `;
    const expected = option.value === undefined ? '' : `: ${option.value.expectation}`;
    return `${short}\`${optionWithValue(key, option)}\`: ${option.summary}${expected}`;
  });
  return items.length === 0 ? [] : [list(items)];
}

function exitCodeTable(exitCodes: Readonly<Record<number, string>>): string[] {
  const rows = Object.entries(exitCodes).map(([code, meaning]) => `| ${code} | ${meaning} |`);
  return rows.length === 0 ? [] : [['| Exit code | Meaning |', '| --- | --- |', ...rows].join('\n')];
}

function exampleBlock(examples: NonNullable<CommandDefinition['examples']>): string[] {
  return examples.map(
    ({ command, meaning }) => `${sentence(meaning).slice(0, -1)}:\n\n${fenced('sh', command)}`,
  );
}

function list(items: readonly string[]): string {
  return items.map(item => `* ${item}`).join('\n');
}

function sentence(phrase: string): string {
  return `${phrase.charAt(0).toUpperCase()}${phrase.slice(1)}.`;
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}
