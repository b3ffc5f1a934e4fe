/** What IMDS makes of a request target. Names of query parameters are in lower case. */
export interface RequestTarget {
  readonly segments: readonly string[];
  readonly query: ReadonlyMap<string, string>;
  readonly hasDuplicateNames: boolean;
}

/**
 * Reads a request target as generously as IMDS is known to, or may be expected to: that is what makes the emulator a
 * strict test of a proxy, whose own gate has to stop what IMDS would honour.
 *
 * - Backslashes are slashes and doubled slashes count once: CVE-2022-23551, and the vectors in the tests of
 *   Azure/aad-pod-identity@e4e7eab `pkg/nmi/server/server_test.go`.
 * - Percent-encoding is decoded before the path is split, dot segments are resolved, absolute form is accepted, names
 *   of query parameters have no case: how HTTP.sys and ASP.NET work. Not verified for IMDS.
 *
 * @returns `undefined` when the web server in front of IMDS would refuse the target
 */
export function parseRequestTarget(target: string): RequestTarget | undefined {
  const originForm = target.replace(/^https?:\/\/[^/?\\]*/i, '');
  const queryStart = originForm.indexOf('?');
  const rawPath = queryStart === -1 ? originForm : originForm.slice(0, queryStart);
  const path = decodePath(rawPath);
  if (path === undefined) return undefined;
  const rawQuery = queryStart === -1 ? '' : originForm.slice(queryStart + 1);
  return { segments: resolveSegments(path), ...parseQuery(rawQuery) };
}

function decodePath(rawPath: string): string | undefined {
  if (!rawPath.startsWith('/') && rawPath !== '') return undefined;
  try {
    const path = decodeURIComponent(rawPath);
    return path.includes('\0') ? undefined : path;
  } catch {
    return undefined;
  }
}

function resolveSegments(path: string): string[] {
  const resolved: string[] = [];
  for (const segment of path.split(/[/\\]+/)) {
    if (segment === '..') resolved.pop();
    else if (segment !== '' && segment !== '.') resolved.push(segment);
  }
  return resolved;
}

/** Reads a query, or a form, which is written in the same way. */
export function parseQuery(rawQuery: string): Pick<RequestTarget, 'query' | 'hasDuplicateNames'> {
  const query = new Map<string, string>();
  let hasDuplicateNames = false;
  for (const [name, value] of new URLSearchParams(rawQuery)) {
    const key = name.toLowerCase();
    hasDuplicateNames ||= query.has(key);
    query.set(key, value);
  }
  return { query, hasDuplicateNames };
}
