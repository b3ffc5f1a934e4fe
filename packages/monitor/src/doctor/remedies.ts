import { codeOf, ERROR_CODES } from '@msi-proxy/shared';

/** What to do about an error, by its code. */
export function remedyOf(error: unknown): string {
  const code = codeOf(error) ?? '';
  if (Object.hasOwn(ERROR_CODES, code)) return ERROR_CODES[code as keyof typeof ERROR_CODES].remedy;
  return 'See the log of the monitor; please report it if it says nothing about it.';
}
