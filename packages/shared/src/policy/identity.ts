/** A managed identity as policy labels and IMDS token requests name it. */
export type IdentityRef =
  | { readonly kind: 'system' }
  | { readonly kind: 'client-id'; readonly id: string }
  | { readonly kind: 'object-id'; readonly id: string }
  | { readonly kind: 'resource-id'; readonly id: string };

export const IDENTITY_GRAMMAR =
  '"system", a client id (GUID), "object:<GUID>", or a resource id ' +
  '("/subscriptions/<GUID>/resourceGroups/<name>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>")';

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

// Resource group names: 1-90 word characters, dots, hyphens, parentheses; identity names: 3-128 word characters or
// hyphens (learn.microsoft.com, "Naming rules and restrictions for Azure resources").
const RESOURCE_ID = new RegExp(
  '^/subscriptions/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}' +
    '/resourcegroups/[\\w.()-]{1,90}/providers/microsoft\\.managedidentity/userassignedidentities/[\\w-]{3,128}$',
  'i',
);

const OBJECT_PREFIX = 'object:';

export function isGuid(text: string): boolean {
  return GUID.test(text);
}

export function isIdentityResourceId(text: string): boolean {
  return RESOURCE_ID.test(text);
}

/** Reads one identity in the grammar of the policy labels; `undefined` when the text is none. */
export function parseIdentity(text: string): IdentityRef | undefined {
  if (text === 'system') return { kind: 'system' };
  if (isGuid(text)) return { kind: 'client-id', id: text.toLowerCase() };
  if (text.startsWith(OBJECT_PREFIX)) {
    const id = text.slice(OBJECT_PREFIX.length);
    return isGuid(id) ? { kind: 'object-id', id: id.toLowerCase() } : undefined;
  }
  // Azure compares resource ids without case; the author's spelling is kept because it is sent upstream.
  return isIdentityResourceId(text) ? { kind: 'resource-id', id: text } : undefined;
}

export function formatIdentity(identity: IdentityRef): string {
  switch (identity.kind) {
    case 'system':
      return 'system';
    case 'object-id':
      return `${OBJECT_PREFIX}${identity.id}`;
    case 'client-id':
    case 'resource-id':
      return identity.id;
  }
}

/**
 * Whether two references are known to name the same identity. A client id and a resource id may belong to one
 * identity, but nothing in them says so: they count as different.
 */
export function sameIdentity(a: IdentityRef, b: IdentityRef): boolean {
  if (a.kind === 'system' || b.kind === 'system') return a.kind === b.kind;
  return a.kind === b.kind && a.id.toLowerCase() === b.id.toLowerCase();
}
