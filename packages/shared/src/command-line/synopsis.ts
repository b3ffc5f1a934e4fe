import type { ArgumentDefinition, CommandDefinition, OptionDefinition } from './program.ts';

const MAX_SHOWN_OPTIONS = 4;

/** A command's arguments and options in the notation of manual pages, such as `[<container>] [--json]`. */
export function synopsisOf({
  arguments: places = {},
  options = {},
  exactlyOneOf = [],
}: CommandDefinition): string {
  const named = (key: string) => {
    const option = Object.hasOwn(options, key) ? options[key] : undefined;
    return option === undefined ? `<${key}>` : optionWithValue(key, option);
  };
  const others = Object.entries(options).filter(([key]) => !exactlyOneOf.includes(key));
  return [
    ...(exactlyOneOf.length === 0 ? [] : [`(${exactlyOneOf.map(named).join(' | ')})`]),
    ...Object.entries(places)
      .filter(([key]) => !exactlyOneOf.includes(key))
      .map(([key, argument]) => argumentInPlace(key, argument)),
    ...(others.length > MAX_SHOWN_OPTIONS
      ? ['[<options>]']
      : others.map(([key, option]) => `[${optionWithValue(key, option)}]`)),
  ].join(' ');
}

/** The line that shows how a command is written. */
export function commandSynopsis(program: string, name: string, command: CommandDefinition): string {
  const settings = command.settings === undefined ? '' : '[<settings>]';
  return [program, name, synopsisOf(command), settings].filter(part => part !== '').join(' ');
}

/** An option as it is written, such as `--identity <identity>`. */
export function optionWithValue(
  name: string,
  { value, placeholder = name, impliedText }: OptionDefinition<unknown>,
): string {
  if (value === undefined) return `--${name}`;
  return impliedText === undefined ? `--${name} <${placeholder}>` : `--${name}[=<${placeholder}>]`;
}

function argumentInPlace(name: string, { required }: ArgumentDefinition<unknown>): string {
  return required === true ? `<${name}>` : `[<${name}>]`;
}
