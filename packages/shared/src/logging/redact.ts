/**
 * The last line of defence against secrets in logs: code must not log them in the first place, and this makes sure
 * that a token that comes along inside somebody else's message is not printed.
 */

const REDACTED = '[redacted]';

// What a JWT may be a part of. Whole runs, so that no text is gone over twice: peers choose what is in it.
const RUN = /[\w.-]+/g;
// A JWT's first part always begins with the Base64 of `{"`. Whatever stands before it: it may be `%22`.
const JWT_START = 'eyJ';
const JWT_MIN_HEADER_LENGTH = 8;

// Name and value of a secret in JSON (also inside of a JSON string), a query, a form or a header. What is quoted goes on to
// the end of the text where the other quote is missing: the text may have been cut.
const SECRET_NAMES =
  'access_token|refresh_token|client_secret|signature|authorization|x-identity-header|password';
const QUOTED = `"(?:\\\\[^]|[^"\\\\])*"?|'[^']*'?|\\\\+"[^"]*"?`;
const UNQUOTED = '(?:(?:bearer|basic)\\s+)?[^\\s,;&}]+';
const SECRET_PAIR = new RegExp(`((?:${SECRET_NAMES})\\\\*["']?\\s*[:=]\\s*)(?:${QUOTED}|${UNQUOTED})`, 'gi');
const SECRET_KEY =
  /^(?:access_?token|refresh_?token|client_?secret|authorization|password|secret|signature|x-identity-header)$/i;

const MAX_DEPTH = 6;

/** A stack trace with its message is shorter; a line that a peer sent may have megabytes. */
const MAX_TEXT_LENGTH = 8_192;

/** The text with every secret masked, and without what is beyond some thousand characters. */
export function redactText(text: string): string {
  const shown = text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH)}…` : text;
  return shown.replace(RUN, maskTokens).replace(SECRET_PAIR, `$1${REDACTED}`);
}

/**
 * A copy, fit for JSON, in which every secret is masked. Errors become `{name, code, message, stack, cause}`; bytes are
 * counted, not shown.
 */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[too deep]';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Date) return value.toJSON();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
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

/** From the first token on, to the end of the run: a token may have three parts or five. */
function maskTokens(run: string): string {
  const parts = run.split('.');
  const first = parts.findIndex((part, index) => tokenStart(part) !== -1 && (parts[index + 1] ?? '') !== '');
  if (first === -1) return run;
  const before = [...parts.slice(0, first), parts[first]!.slice(0, tokenStart(parts[first]!))];
  return before.join('.') + REDACTED;
}

function tokenStart(part: string): number {
  const start = part.indexOf(JWT_START);
  return part.length - start >= JWT_MIN_HEADER_LENGTH ? start : -1;
}
