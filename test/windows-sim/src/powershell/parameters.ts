import { Enumeration, isArray, PsError, toInteger, toText, type Value } from './values.ts';

/** The type of a parameter: a list of names is an enumeration. */
export type ParameterType = 'text' | 'integer' | 'boolean' | 'switch' | 'any' | readonly string[];

export interface ParameterSpecification {
  readonly type: ParameterType;
  readonly mandatory?: boolean;
}

export type ParameterTable = Readonly<Record<string, ParameterSpecification>>;

/** `-Name`, `-Name:value`, or a value. */
export type CommandArgument =
  { readonly parameter: string; readonly attached?: Value } | { readonly value: Value };

export const ERROR_ACTIONS = ['Stop', 'Continue', 'SilentlyContinue', 'Ignore'] as const;
export type ErrorAction = (typeof ERROR_ACTIONS)[number];

const COMMON: ParameterTable = { ErrorAction: { type: ERROR_ACTIONS } };

/** Arguments of a cmdlet, converted. Names are as the cmdlet declares them. */
export class BoundParameters {
  readonly #values: ReadonlyMap<string, Value>;

  constructor(values: ReadonlyMap<string, Value>) {
    this.#values = values;
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : toText(value);
  }

  integer(name: string): number | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : toInteger(value);
  }

  isOn(name: string): boolean {
    return this.#values.get(name) === true;
  }

  value(name: string): Value {
    return this.#values.get(name) ?? null;
  }
}

/**
 * Binds arguments as PowerShell does, but takes names only in full and values only by name: what it would also accept is not
 * to be relied on.
 *
 * @throws {PsError} for what the cmdlet does not have, lacks, or cannot convert
 */
export function bind(
  cmdlet: string,
  table: ParameterTable,
  commandArguments: readonly CommandArgument[],
): BoundParameters {
  const known = Object.entries({ ...table, ...COMMON });
  const values = new Map<string, Value>();
  const queue = [...commandArguments];
  for (let argument = queue.shift(); argument !== undefined; argument = queue.shift()) {
    if ('value' in argument) {
      throw new PsError(
        `A positional parameter cannot be found that accepts argument '${toText(argument.value)}'.`,
        `PositionalParameterNotFound,${cmdlet}`,
      );
    }
    const { parameter, attached } = argument;
    const [name, specification] = known.find(([key]) => key.toLowerCase() === parameter.toLowerCase()) ?? [];
    if (name === undefined || specification === undefined) {
      throw new PsError(
        `A parameter cannot be found that matches parameter name '${parameter}'.`,
        `NamedParameterNotFound,${cmdlet}`,
      );
    }
    if (values.has(name)) {
      throw new PsError(
        `Cannot bind parameter because parameter '${name}' is specified more than once.`,
        `ParameterAlreadyBound,${cmdlet}`,
      );
    }
    let value = attached;
    if (value === undefined) {
      // A switch takes no value from the next argument.
      if (specification.type === 'switch') value = true;
      else if (queue[0] !== undefined && 'value' in queue[0]) {
        value = queue[0].value;
        queue.shift();
      } else {
        throw new PsError(`Missing an argument for parameter '${name}'.`, `MissingArgument,${cmdlet}`);
      }
    }
    values.set(name, convert(cmdlet, name, specification.type, value));
  }
  const missing = Object.entries(table).find(
    ([name, { mandatory }]) => mandatory === true && !values.has(name),
  );
  if (missing !== undefined) {
    throw new PsError(
      `Cannot process command because of one or more missing mandatory parameters: ${missing[0]}.`,
      `MissingMandatoryParameter,${cmdlet}`,
    );
  }
  return new BoundParameters(values);
}

function convert(cmdlet: string, name: string, type: ParameterType, value: Value): Value {
  const refuse = () =>
    new PsError(
      `Cannot process argument transformation on parameter '${name}'. Cannot convert value "${toText(value)}".`,
      `ParameterArgumentTransformationError,${cmdlet}`,
    );
  if (type === 'any') return value;
  if (isArray(value) || value === null) throw refuse();
  if (type === 'boolean' || type === 'switch') {
    if (typeof value !== 'boolean') throw refuse();
    return value;
  }
  if (type === 'integer') {
    if (!/^\d+$/.test(toText(value))) throw refuse();
    return toInteger(value);
  }
  if (type === 'text') {
    if (toText(value) === '') throw refuse();
    return toText(value);
  }
  const text = value instanceof Enumeration ? value.name : toText(value);
  const found = type.find(choice => choice.toLowerCase() === text.toLowerCase());
  if (found === undefined) throw refuse();
  return found;
}
