/** A token audience that policy allows: exactly one, or all that begin with a prefix. */
export type ResourcePattern =
  | { readonly kind: 'exact'; readonly resource: string }
  | { readonly kind: 'prefix'; readonly prefix: string };

export const RESOURCE_GRAMMAR =
  'token audiences such as "https://vault.azure.net" or a GUID, comma-separated, each optionally ending in "*"';

/**
 * Brings an audience to the form in which it is compared: scheme and host of a URI in lower case and without a
 * trailing slash on the bare host, because Azure AD treats these spellings as one; the rest stays as it is.
 */
export function canonicalResource(resource: string): string {
  const uri = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(resource);
  if (uri === null) return resource.toLowerCase();
  const [, scheme = '', host = '', rest = ''] = uri;
  return `${scheme.toLowerCase()}://${host.toLowerCase()}${rest === '/' ? '' : rest}`;
}

/** Reads one audience pattern; `undefined` when the text is none. `*` alone is "any" and is read by the caller. */
export function parseResourcePattern(text: string): ResourcePattern | undefined {
  const star = text.indexOf('*');
  const body = star === -1 ? text : text.slice(0, -1);
  // Printable ASCII only; a comma separates, and what needs quoting has no place in an audience.
  if (!/^[\x21\x23-\x26\x28-\x2b\x2d-\x5b\x5d-\x7e]+$/.test(body) || body.includes('*')) return undefined;
  if (star === -1) return { kind: 'exact', resource: canonicalResource(body) };
  if (star !== text.length - 1) return undefined;
  return { kind: 'prefix', prefix: canonicalPrefix(body) };
}

export function formatResourcePattern(pattern: ResourcePattern): string {
  return pattern.kind === 'exact' ? pattern.resource : `${pattern.prefix}*`;
}

export function matchesResource(pattern: ResourcePattern, resource: string): boolean {
  const canonical = canonicalResource(resource);
  if (pattern.kind === 'exact') return pattern.resource === canonical;
  // "https://vault.azure.net/*" is meant to cover the bare host, whose trailing slash the canonical form lacks.
  return canonical.startsWith(pattern.prefix) || `${canonical}/` === pattern.prefix;
}

/** Whether everything that `inner` matches is matched by `outer` too. */
export function coversPattern(outer: ResourcePattern, inner: ResourcePattern): boolean {
  if (inner.kind === 'exact') return matchesResource(outer, inner.resource);
  return outer.kind === 'prefix' && inner.prefix.startsWith(outer.prefix);
}

// Unlike canonicalResource, keeps a trailing slash: without it "https://a/*" would also match "https://a.evil".
function canonicalPrefix(prefix: string): string {
  const uri = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(prefix);
  if (uri === null) return prefix.toLowerCase();
  const [, scheme = '', host = '', rest = ''] = uri;
  return `${scheme.toLowerCase()}://${host.toLowerCase()}${rest}`;
}
