/** Where the value of a member stands in the text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Finds the members of a JSON object in its text, so that one value can be replaced and everything else stays as it was
 * written: some SDKs depend on the order of the members and on which values are texts.
 *
 * @param text valid JSON whose outermost value is an object
 * @returns spans of the values by member name; `undefined` when a name is there twice, since readers differ in which
 *   one they take
 */
export function memberSpans(text: string): ReadonlyMap<string, Span> | undefined {
  const spans = new Map<string, Span>();
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const nameEnd = endOfString(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = endOfValue(text, start);
    if (spans.has(name)) return undefined;
    spans.set(name, { start, end });
    at = skipSpace(text, end);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return spans;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1;
  return at;
}

/** @param from at the opening quote */
function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function endOfValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  for (;;) {
    const char = text[at];
    if (char === '"') {
      at = endOfString(text, at);
    } else if (char === '{' || char === '[') {
      depth += 1;
      at += 1;
    } else if (depth > 0 && (char === '}' || char === ']')) {
      depth -= 1;
      at += 1;
    } else if (depth === 0) {
      // A number or a word.
      while (!/[,\]}\s]/.test(text[at]!)) at += 1;
      return at;
    } else {
      at += 1;
      continue;
    }
    if (depth === 0) return at;
  }
}
