import { isIPv6 } from 'node:net';

/**
 * One setting: its environment variable, how its text is read, and what holds when it is not set. A program's settings
 * are one table of these; parsing, `--help`, the docs and the start-up log line all come from it. Its names as a flag and
 * in the settings file follow from the variable; see `settingNames`.
 */
export interface Setting<T> {
  readonly env: string;
  readonly description: string;
  /** Said in messages and in the docs: `expected <expectation>`. */
  readonly expectation: string;
  readonly defaultValue: T;
  /** The value, or `undefined` when the text is not as expected. */
  readonly parse: (text: string) => T | undefined;
  readonly format: (value: T) => string;
  /** What it may be, where that can be listed; completed. */
  readonly choices?: readonly string[];
  /** What the flag alone, without a value, means. */
  readonly impliedText?: string;
  /** Can be changed while the program runs. */
  readonly reloadable?: boolean;
}

interface Described<T> {
  readonly env: string;
  readonly description: string;
  readonly defaultValue: T;
  readonly reloadable?: boolean;
}

export function integerSetting(
  options: Described<number> & { readonly min: number; readonly max: number; readonly unit?: string },
): Setting<number> {
  const { min, max, unit, ...described } = options;
  return {
    ...described,
    expectation: `a whole number${unit === undefined ? '' : ` of ${unit}`} from ${min} to ${max}`,
    parse: text => {
      if (!/^-?\d{1,15}$/.test(text)) return undefined;
      const value = Number(text);
      return value >= min && value <= max ? value : undefined;
    },
    format: String,
  };
}

export function booleanSetting(described: Described<boolean>): Setting<boolean> {
  const words = new Map([
    ['true', true],
    ['on', true],
    ['1', true],
    ['false', false],
    ['off', false],
    ['0', false],
  ]);
  return {
    ...described,
    expectation: '"true" or "false"',
    parse: text => words.get(text.toLowerCase()),
    format: String,
    choices: ['true', 'false'],
    impliedText: 'true',
  };
}

export function choiceSetting<const T extends string>(
  options: Described<NoInfer<T>> & { readonly choices: readonly T[] },
): Setting<T> {
  const { choices } = options;
  return {
    ...options,
    expectation: `one of ${choices.map(choice => `"${choice}"`).join(', ')}`,
    parse: text => choices.find(choice => choice === text.toLowerCase()),
    format: value => value,
  };
}

/** Text in a form of its own. `parse` returns `undefined` for what is not in that form. */
export function textSetting<T = string>(
  options: Described<T> & {
    readonly expectation: string;
    readonly parse: (text: string) => T | undefined;
    readonly format?: (value: T) => string;
  },
): Setting<T> {
  return { format: String, ...options };
}

/** A TCP listening address. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export function hostPortSetting(described: Described<HostPort>): Setting<HostPort> {
  return {
    ...described,
    expectation: 'host:port, such as "127.0.0.1:9180" or "[::1]:9180"',
    parse: parseHostPort,
    format: formatHostPort,
  };
}

export function formatHostPort({ host, port }: HostPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const [, ipv6, name, portText] = match ?? [];
  const host = ipv6 ?? name;
  const port = Number(portText);
  if (host === undefined || port > 65_535 || (ipv6 !== undefined && !isIPv6(ipv6))) return undefined;
  return { host, port };
}
