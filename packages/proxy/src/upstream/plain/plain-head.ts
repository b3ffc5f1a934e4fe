/** The head of an answer in the plainest form that HTTP/1.1 has. */
export interface PlainHead {
  readonly status: number;
  readonly statusText: string;
  /** Flat list of names and values as received. */
  readonly rawHeaders: readonly string[];
  /** The first value of each header, by its name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Bytes of the body. */
  readonly length: number;
}

const STATUS_LINE = /^HTTP\/1\.1 ([2-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/;
// RFC 9110, 5.1 and 5.5. A line that goes on in the next one (obs-fold) has no name, and so does not match.
const HEADER_LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[\t ]*$/;
const LENGTH = /^\d{1,9}$/;
const MAX_HEADERS = 64;

/** Answers that have no body whatever their headers say (RFC 9112, 6.3). */
const WITHOUT_BODY = new Set([204, 205, 304]);

/**
 * Reads a head. Not a parser of HTTP: whatever could be read in two ways, or would need more than to count bytes, is not
 * plain (a body in chunks, or to the end of the connection, or of two lengths; other versions; folded lines; 1xx).
 *
 * @param text one character a byte, without the empty line at its end
 * @returns `undefined` for what is not plain
 */
export function readPlainHead(text: string): PlainHead | undefined {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const [, status, statusText] = STATUS_LINE.exec(statusLine) ?? [];
  if (status === undefined || statusText === undefined || lines.length > MAX_HEADERS) return undefined;
  const rawHeaders: string[] = [];
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = HEADER_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return undefined;
    const key = name.toLowerCase();
    if (key === 'transfer-encoding' || (key === 'content-length' && headers.has(key))) return undefined;
    if (!headers.has(key)) headers.set(key, value);
    rawHeaders.push(name, value);
  }
  const length = headers.get('content-length') ?? '';
  if (!LENGTH.test(length) || WITHOUT_BODY.has(Number(status))) return undefined;
  return { status: Number(status), statusText, rawHeaders, headers, length: Number(length) };
}
