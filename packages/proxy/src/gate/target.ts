import { READY_PATH, TOKEN_PATH, VM_EXTENSION_PATH } from '@msi-proxy/shared';
import type { QueryParameter } from './gated-request.ts';

export type TargetReason = 'path-not-canonical' | 'query-not-canonical' | 'query-name-repeated';

export type ParsedTarget =
  | {
      readonly ok: true;
      /** What is sent upstream: path and query exactly as received, but for {@link TOKEN_PATH_OF_MSAL_NODE}. */
      readonly target: string;
      readonly path: string;
      readonly query: readonly QueryParameter[];
    }
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

/**
 * What msal-node makes of the token path when `AZURE_POD_IDENTITY_AUTHORITY_HOST` is set, since its `UrlString` ends every
 * path with a slash (seen in 7.2.1, with @azure/identity 4.14.1). It stands for the one without: IMDS never sees it.
 */
const TOKEN_PATH_OF_MSAL_NODE = `${TOKEN_PATH}/`;

const MAX_TARGET_LENGTH = 4096;

/** Reads a request target that is already canonical. Anything else is refused, never mended, with one exception. */
export function parseTarget(received: string): ParsedTarget {
  const target = withKnownSpelling(received);
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const isExact = path === READY_PATH || path === VM_EXTENSION_PATH;
  const isKnownForm = isExact || PATH.test(path) || INSTANCE_FOLDER.test(path);
  if (!isKnownForm || target.length > MAX_TARGET_LENGTH) {
    return { ok: false, reason: 'path-not-canonical', text: 'The request path is not in canonical form' };
  }
  return parseQuery(target, path, mark === -1 ? '' : target.slice(mark + 1));
}

function withKnownSpelling(target: string): string {
  const isMsalNodes = target === TOKEN_PATH_OF_MSAL_NODE || target.startsWith(`${TOKEN_PATH_OF_MSAL_NODE}?`);
  return isMsalNodes ? TOKEN_PATH + target.slice(TOKEN_PATH_OF_MSAL_NODE.length) : target;
}

function parseQuery(target: string, path: string, text: string): ParsedTarget {
  if (text === '') return { ok: true, target, path, query: [] };
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
  return { ok: true, target, path, query };
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
