import { MsiProxyError } from '@msi-proxy/shared';
import type { Allowed } from '../authorize/authorize.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';

/**
 * Takes user data out of `instance` answers for clients that are not granted it: it is where people put deployment
 * secrets. The answer is a JSON document at `/metadata/instance` and `/metadata/instance/compute`, and a list of names
 * when asked as text.
 */

const SECRET_NAMES = new Set(['userdata', 'customdata']);

/** How an `instance` answer may go to a client. */
export interface FilteredAnswer {
  readonly answer: UpstreamAnswer;
  /** There was user data that the policy does not grant, and it is only reported. */
  readonly isReported: boolean;
}

/**
 * Treats user data in an `instance` answer as was decided.
 *
 * @throws {MsiProxyError} `MSI_UPSTREAM_FAILED` when the answer cannot be read, and so might hold what must be taken out
 */
export function filterUserData(answer: UpstreamAnswer, userData: Allowed['userData']): FilteredAnswer {
  if (userData === 'granted') return { answer, isReported: false };
  const { status, contentType, contentEncoding } = answer;
  // Neither was asked for; a part of a document or a compressed one cannot be searched.
  const isReadable = status !== 206 && (contentEncoding ?? 'identity') === 'identity';
  const body = isReadable ? withoutUserData(answer.body, contentType) : undefined;
  if (userData === 'reported') return { answer, isReported: body !== undefined && body !== answer.body };
  if (body === undefined) {
    throw new MsiProxyError(
      'MSI_UPSTREAM_FAILED',
      'an instance answer that may hold user data is not readable',
    );
  }
  // Of a HEAD the length is that of an answer with user data, which says something about it.
  return { answer: { ...answer, body, contentLength: undefined }, isReported: false };
}

/**
 * @param body the whole answer
 * @param contentType of the answer, as IMDS sent it
 * @returns the same bytes when there is nothing to take out, or `undefined` when the answer cannot be read, and so must
 *   not be passed on
 */
export function withoutUserData(body: Buffer, contentType: string | undefined): Buffer | undefined {
  if (body.length === 0) return body;
  const text = body.toString('utf8');
  // UTF-16 and the like, in which the names would not be found.
  if (text.includes('\0')) return undefined;
  // Names may be written with escapes (`\u0075serData`); only a text that has neither cannot hold one.
  if (!/userdata|customdata|\\u/i.test(text)) return body;
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return contentType?.startsWith('text/') === true && isListing(text)
      ? withoutListedNames(text, body)
      : undefined;
  }
  const { value, changed } = strip(document);
  return changed ? Buffer.from(JSON.stringify(value)) : body;
}

/** Names alone, one a line: whatever else is called text may have user data in any form. */
function isListing(text: string): boolean {
  const lines = text.replace(/\n$/, '').split('\n');
  return lines.every(line => /^[\w-]+\/?\r?$/.test(line));
}

function withoutListedNames(text: string, body: Buffer): Buffer {
  const lines = text.split('\n');
  const kept = lines.filter(line => !SECRET_NAMES.has(line.trim().replace(/\/$/, '').toLowerCase()));
  return kept.length === lines.length ? body : Buffer.from(kept.join('\n'));
}

function strip(value: unknown): { value: unknown; changed: boolean } {
  if (typeof value !== 'object' || value === null) return { value, changed: false };
  if (Array.isArray(value)) {
    const items = value.map(strip);
    return { value: items.map(item => item.value), changed: items.some(item => item.changed) };
  }
  let changed = false;
  const kept: [string, unknown][] = [];
  for (const [name, item] of Object.entries(value)) {
    if (SECRET_NAMES.has(name.toLowerCase())) {
      changed = true;
      continue;
    }
    const inner = strip(item);
    changed ||= inner.changed;
    kept.push([name, inner.value]);
  }
  return { value: Object.fromEntries(kept), changed };
}
