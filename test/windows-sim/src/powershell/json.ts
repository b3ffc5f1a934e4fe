import { Enumeration, Hashtable, isArray, PsObject, toText, type Value } from './values.ts';

/** `ConvertTo-Json -Compress` of Windows PowerShell 5.1. */
export function toJson(value: Value, depth: number): string {
  return write(value, depth);
}

function write(value: Value, depthLeft: number): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (typeof value === 'string') return quoted(value);
  // Enumerations are numbers, which is a trap for whoever reads it.
  if (value instanceof Enumeration) return String(value.number);
  if (depthLeft < 0) return quoted(toText(value));
  if (isArray(value)) return `[${value.map(element => write(element, depthLeft - 1)).join(',')}]`;
  if (value instanceof Hashtable) return object(value.entries(), depthLeft);
  if (value instanceof PsObject) return object(Object.entries(value.properties), depthLeft);
  return object([['Message', value.message]], depthLeft);
}

function object(entries: readonly (readonly [string, Value])[], depthLeft: number): string {
  const members = entries.map(([key, value]) => `${quoted(key)}:${write(value, depthLeft - 1)}`);
  return `{${members.join(',')}}`;
}

/** Version 5.1 also escapes what means something in HTML. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(/['<>&]/g, character => {
    return `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`;
  });
}
