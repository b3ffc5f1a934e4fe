import { READY_PATH } from '@msi-proxy/shared';
import { VM_EXTENSION_PATH } from './endpoint.ts';
import type { QueryParameter } from './gated-request.ts';

export type TargetReason = 'path-not-canonical' | 'query-not-canonical' | 'query-name-repeated';

export type ParsedTarget =
  | { readonly ok: true; readonly path: string; readonly query: readonly QueryParameter[] }
  | { readonly ok: false; readonly reason: TargetReason; readonly text: string };

// IMDS reads `\` as `/` and /metadata in any case (CVE-2022-23551 was a filter that did not), and nobody documents what
// else it folds. So only one spelling passes: these segments need no decoding, hold no dot segment, and the first one
// is in lower case. Of all documented paths none needs more.
const PATH = /^\/metadata(?:\/[A-Za-z0-9_-]+)*$/;
// People write `/metadata/instance/?api-version=…`, also in Microsoft's samples; only there IMDS lists a folder.
const INSTANCE_FOLDER = /^\/metadata\/instance(?:\/[A-Za-z0-9_-]+)*\/$/;

// RFC 3986's query without `;` (a second separator for some parsers), with percent-encoding only where it is well-formed.
const QUERY = /^(?:[A-Za-z0-9._~!$&'()*+,=:@/?-]|%[0-9A-Fa-f]{2})*$/;
const PARAMETER_NAME = /^[A-Za-z0-9_.-]+$/;

const MAX_TARGET_LENGTH = 4096;

/** Reads a request target that is already canonical. Anything else is refused, never mended. */
export function parseTarget(target: string): ParsedTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const isExact = path === READY_PATH || path === VM_EXTENSION_PATH;
  const isKnownForm = isExact || PATH.test(path) || INSTANCE_FOLDER.test(path);
  if (!isKnownForm || target.length > MAX_TARGET_LENGTH) {
    return { ok: false, reason: 'path-not-canonical', text: 'The request path is not in canonical form' };
  }
  return parseQuery(path, mark === -1 ? '' : target.slice(mark + 1));
}

function parseQuery(path: string, text: string): ParsedTarget {
  if (text === '') return { ok: true, path, query: [] };
  const refused = { ok: false, reason: 'query-not-canonical' } as const;
  if (!QUERY.test(text)) return { ...refused, text: 'The query is not in canonical form' };

  const query: QueryParameter[] = [];
  const seen = new Set<string>();
  for (const piece of text.split('&')) {
    const equals = piece.indexOf('=');
    const rawName = equals === -1 ? piece : piece.slice(0, equals);
    const rawValue = equals === -1 ? '' : piece.slice(equals + 1);
    const value = decode(rawValue);
    if (!PARAMETER_NAME.test(rawName) || value === undefined) {
      return { ...refused, text: 'A query parameter is empty or not in canonical form' };
    }
    // IMDS refuses repeated names; compared without case, since the reader behind may do so too.
    const folded = rawName.toLowerCase();
    if (seen.has(folded)) {
      return { ok: false, reason: 'query-name-repeated', text: 'A query parameter is repeated' };
    }
    seen.add(folded);
    query.push({ rawName, rawValue, name: rawName, value });
  }
  return { ok: true, path, query };
}

/** The value as text; `undefined` when it is not UTF-8 or holds control characters. */
function decode(rawValue: string): string | undefined {
  let value: string;
  try {
    value = decodeURIComponent(rawValue);
  } catch {
    return undefined;
  }
  return /[\u0000-\u001f\u007f]/.test(value) ? undefined : value;
}
