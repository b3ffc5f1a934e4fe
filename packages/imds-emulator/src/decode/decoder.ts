import { printable } from '@msi-proxy/shared';

/** One thing that is wrong with a JSON document, precise enough for its author to mend it. */
export interface DocumentProblem {
  /** Where: `userAssignedIdentities[0].clientId`; empty for the document itself. */
  readonly path: string;
  readonly value: string;
  readonly expected: string;
}

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly DocumentProblem[] };

/** Reads a value of unknown shape as `T`, or says what is wrong with it and where. */
export type Decoder<T> = (value: unknown, path: string) => Decoded<T>;

type DecodersOf<T> = { readonly [Key in keyof T]-?: Decoder<Exclude<T[Key], undefined>> };

export function formatProblem({ path, value, expected }: DocumentProblem): string {
  return `${path === '' ? 'the document' : path} is ${value}: expected ${expected}`;
}

export function failure(path: string, value: unknown, expected: string): Decoded<never> {
  // JSON has no `undefined`: that is a field which is not there.
  const shown = value === undefined ? 'missing' : printable(JSON.stringify(value));
  return { ok: false, problems: [{ path, value: shown, expected }] };
}

export function text(expected: string, accepts: (value: string) => boolean = () => true): Decoder<string> {
  return (value, path) =>
    typeof value === 'string' && accepts(value) ? { ok: true, value } : failure(path, value, expected);
}

export function wholeNumber(min: number, max: number): Decoder<number> {
  return (value, path) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? { ok: true, value }
      : failure(path, value, `a whole number from ${min} to ${max}`);
}

export const boolean: Decoder<boolean> = (value, path) =>
  typeof value === 'boolean' ? { ok: true, value } : failure(path, value, 'true or false');

export function choice<const T extends string>(choices: readonly T[]): Decoder<T> {
  return (value, path) => {
    const chosen = choices.find(candidate => candidate === value);
    return chosen === undefined
      ? failure(path, value, `one of ${choices.map(each => `"${each}"`).join(', ')}`)
      : { ok: true, value: chosen };
  };
}

export function nullable<T>(decoder: Decoder<T>): Decoder<T | null> {
  return (value, path) => (value === null ? { ok: true, value } : decoder(value, path));
}

export function listOf<T>(decoder: Decoder<T>): Decoder<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return failure(path, value, 'a list');
    const items = value.map((item, index) => decoder(item, `${path}[${index}]`));
    return combine(items);
  };
}

/** @param nameDecoder reads the names of the fields */
export function recordOf<T>(
  decoder: Decoder<T>,
  nameDecoder: Decoder<string> = text('a name'),
): Decoder<Readonly<Record<string, T>>> {
  return (value, path) => {
    if (!isRecord(value)) return failure(path, value, 'an object');
    const names = Object.keys(value);
    const items = combine(
      names.map(name => {
        const fieldPath = join(path, printable(name));
        const decodedName = nameDecoder(name, fieldPath);
        return decodedName.ok ? decoder(value[name], fieldPath) : decodedName;
      }),
    );
    if (!items.ok) return items;
    return { ok: true, value: Object.fromEntries(items.value.map((item, index) => [names[index]!, item])) };
  };
}

/**
 * An object with exactly these fields. What is absent takes its value from `defaults`, or stays absent if it is
 * `optional`; any other absent field is a problem, and so is one that is not known (usually a misspelling).
 */
export function objectOf<T extends object>(
  decoders: DecodersOf<T>,
  defaults: Partial<T> = {},
  optional: readonly (keyof T)[] = [],
): Decoder<T> {
  return (value, path) => {
    if (!isRecord(value)) return failure(path, value, 'an object');
    const names = Object.keys(decoders) as (keyof T & string)[];
    const problems = unknownFields(value, names, path);
    const result: Partial<T> = { ...defaults };
    for (const name of names) {
      const isAbsent = !Object.hasOwn(value, name);
      if (isAbsent && (Object.hasOwn(defaults, name) || optional.includes(name))) continue;
      const decoded = decoders[name](isAbsent ? undefined : value[name], join(path, name));
      if (decoded.ok) result[name] = decoded.value;
      else problems.push(...decoded.problems);
    }
    return problems.length > 0 ? { ok: false, problems } : { ok: true, value: result as T };
  };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownFields(
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
  path: string,
): DocumentProblem[] {
  return Object.keys(value)
    .filter(name => !known.includes(name))
    .map(name => ({
      path: join(path, printable(name)),
      value: 'not known',
      expected: `one of ${known.join(', ')}`,
    }));
}

function combine<T>(items: readonly Decoded<T>[]): Decoded<T[]> {
  const problems = items.flatMap(item => (item.ok ? [] : item.problems));
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, value: items.flatMap(item => (item.ok ? [item.value] : [])) };
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
