import { NotSimulated } from '../commands/program.ts';

/** A value of the language, as far as it is simulated. Arrays are PowerShell's `object[]`. */
export type Value =
  null | boolean | number | string | readonly Value[] | Hashtable | Enumeration | PsObject | ErrorRecord;

/** Keys are compared without regard to case and come out in an order of their own, as those of a Hashtable. */
export class Hashtable {
  readonly #entries = new Map<string, readonly [key: string, value: Value]>();

  set(key: string, value: Value): void {
    this.#entries.set(key.toLowerCase(), [key, value]);
  }

  has(key: string): boolean {
    return this.#entries.has(key.toLowerCase());
  }

  get(key: string): Value {
    return this.#entries.get(key.toLowerCase())?.[1] ?? null;
  }

  /** Not in the order of insertion, so that nobody relies on it. */
  entries(): (readonly [key: string, value: Value])[] {
    return [...this.#entries.values()].reverse();
  }
}

/** A member of a .NET enumeration: its name as text, its number as JSON. */
export class Enumeration {
  readonly name: string;
  readonly number: number;

  constructor(name: string, number: number) {
    this.name = name;
    this.number = number;
  }
}

/** An object of a cmdlet. Only the properties that are simulated can be read. */
export class PsObject {
  readonly typeName: string;
  readonly properties: Readonly<Record<string, Value>>;

  constructor(typeName: string, properties: Readonly<Record<string, Value>>) {
    this.typeName = typeName;
    this.properties = properties;
  }
}

/** What `$_` is in a catch block. */
export class ErrorRecord {
  readonly message: string;
  readonly id: string;

  constructor(message: string, id: string) {
    this.message = message;
    this.id = id;
  }
}

/** A terminating error of the language. */
export class PsError extends Error {
  override readonly name = 'PsError';
  readonly record: ErrorRecord;

  constructor(message: string, id: string) {
    super(message);
    this.record = new ErrorRecord(message, id);
  }
}

export function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** What a pipeline gives: nothing, the one object, or an array. */
export function collapse(values: readonly Value[]): Value {
  if (values.length === 0) return null;
  return values.length === 1 ? values[0]! : values;
}

/** What a value becomes in a pipeline: arrays are taken apart, hash tables are not. */
export function enumerated(value: Value): readonly Value[] {
  if (value === null) return [];
  return isArray(value) ? value : [value];
}

export function toText(value: Value): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number' || typeof value === 'string') return String(value);
  if (isArray(value)) return value.map(toText).join(' ');
  if (value instanceof Hashtable) return 'System.Collections.Hashtable';
  if (value instanceof Enumeration) return value.name;
  if (value instanceof ErrorRecord) return value.message;
  return value.typeName;
}

export function toBoolean(value: Value): boolean {
  if (value === null) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'string') return value !== '';
  if (isArray(value)) return value.length === 1 ? toBoolean(value[0]!) : value.length > 0;
  if (value instanceof Enumeration) return value.number !== 0;
  return true;
}

/** @throws {PsError} when it is no number */
export function toInteger(value: Value): number {
  if (value === null) return 0;
  if (typeof value === 'boolean') return value ? 1 : 0;
  const number =
    value instanceof Enumeration ? value.number : typeof value === 'string' ? Number(value) : value;
  // .NET rounds to the even neighbour; no script here casts a fraction.
  if (typeof number === 'number' && Number.isInteger(number)) return number;
  throw new PsError(
    `Cannot convert value "${toText(value)}" to type "System.Int32". Error: "Input string was not in a correct format."`,
    'InvalidCastFromStringToInteger',
  );
}

/** `.Name`, compared without regard to case. */
export function member(value: Value, name: string): Value {
  const wanted = name.toLowerCase();
  if (isArray(value) && (wanted === 'count' || wanted === 'length')) return value.length;
  if (value instanceof Hashtable && value.has(name)) return value.get(name);
  if (value instanceof ErrorRecord) {
    if (wanted === 'exception') return new PsObject('System.Exception', { Message: value.message });
    if (wanted === 'fullyqualifiederrorid') return value.id;
  }
  if (value instanceof PsObject) {
    const found = Object.entries(value.properties).find(([key]) => key.toLowerCase() === wanted);
    if (found !== undefined) return found[1];
  }
  // Since version 3, every single object counts as one; nothing has no property at all, and counts as none.
  if (wanted === 'count' && !(value instanceof Hashtable)) return value === null ? 0 : 1;
  if (value === null) return null;
  throw new NotSimulated(`the property ${name} of ${toText(value)}`);
}
