import { readFileSync } from 'node:fs';

/** @returns undefined when it is not there, or cannot be read */
export function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
