/**
 * The last line of defence against secrets in logs: code must not log them in the first place, and this makes sure
 * that a token that comes along inside somebody else's message is not printed.
 */

const REDACTED = '[redacted]';

// A JWT's three parts; the header always begins with the Base64 of `{"`.
const JWT = /\beyJ[\w-]{5,}\.[\w-]+\.?[\w-]*/g;
const SECRET_PAIR =
  /(["']?(?:access_token|refresh_token|client_secret|signature|authorization|x-identity-header)["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;&}]+)/gi;
const SECRET_KEY =
  /^(?:access_?token|refresh_?token|client_?secret|authorization|password|secret|x-identity-header)$/i;

const MAX_DEPTH = 6;

export function redactText(text: string): string {
  return text.replace(JWT, REDACTED).replace(SECRET_PAIR, `$1${REDACTED}`);
}

/** A copy of plain data in which every secret is masked; errors become `{name, code, message, stack, cause}`. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[too deep]';
  if (value instanceof Error) return redactError(value, depth);
  if (Array.isArray(value)) return value.map(item => redactValue(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      SECRET_KEY.test(key) ? REDACTED : redactValue(item, depth + 1),
    ]),
  );
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  // Only these: errors of HTTP clients carry whole requests and answers among their other properties.
  const { name, message, stack, cause } = error;
  const code = 'code' in error ? error.code : undefined;
  const details = 'details' in error ? error.details : undefined;
  return {
    name,
    ...(code !== undefined && { code: redactValue(code, depth + 1) }),
    message: redactText(message),
    ...(details !== undefined && { details: redactValue(details, depth + 1) }),
    ...(code === undefined && stack !== undefined && { stack: redactText(stack) }),
    ...(cause !== undefined && { cause: redactValue(cause, depth + 1) }),
  };
}
