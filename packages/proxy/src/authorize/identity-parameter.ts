import { isGuid, isIdentityResourceId, type IdentityRef } from '@msi-proxy/shared';
import type { QueryParameter } from '../gate/gated-request.ts';

export type RequestedIdentity =
  | { readonly kind: 'none' }
  | { readonly kind: 'named'; readonly identity: IdentityRef }
  | { readonly kind: 'malformed'; readonly text: string };

/** The spellings that SDKs use; `msi_res_id` is documented, the two others are sent by .NET and Java. */
const IDENTITY_PARAMETERS: Readonly<Record<string, 'client-id' | 'object-id' | 'resource-id'>> = {
  client_id: 'client-id',
  object_id: 'object-id',
  msi_res_id: 'resource-id',
  mi_res_id: 'resource-id',
  'msi-res-id': 'resource-id',
};

export function isIdentityParameter(name: string): boolean {
  return Object.hasOwn(IDENTITY_PARAMETERS, name);
}

/** The identity that a token request names, in any of the spellings that IMDS may understand. */
export function requestedIdentity(query: readonly QueryParameter[]): RequestedIdentity {
  const named = query.filter(({ name }) => isIdentityParameter(name));
  const [first, second] = named;
  const odd = query.find(parameter => looksLikeIdentity(parameter.name) && !named.includes(parameter));
  if (odd !== undefined) return malformed(`Unknown spelling of an identity parameter: ${odd.name}`);
  if (first === undefined) return { kind: 'none' };
  if (second !== undefined) return malformed(`Only one of ${first.name} and ${second.name} may be given`);

  const kind = IDENTITY_PARAMETERS[first.name]!;
  // A plus sign is a space to some readers; no identity holds either.
  const isWellFormed = kind === 'resource-id' ? isIdentityResourceId(first.value) : isGuid(first.value);
  if (!isWellFormed) return malformed(`The value of ${first.name} is not valid`);
  return { kind: 'named', identity: { kind, id: first.value } };
}

/** The parameter that names an identity to IMDS; none for the system-assigned one. */
export function identityParameter(identity: IdentityRef): string | undefined {
  switch (identity.kind) {
    case 'system':
      return undefined;
    case 'client-id':
      return `client_id=${identity.id}`;
    case 'object-id':
      return `object_id=${identity.id}`;
    case 'resource-id':
      return `msi_res_id=${encodeURIComponent(identity.id)}`;
  }
}

function malformed(text: string): RequestedIdentity {
  return { kind: 'malformed', text };
}

/** Names that some reader of IMDS could take for an identity parameter: other case, other separators, other services' names. */
function looksLikeIdentity(name: string): boolean {
  const letters = name.toLowerCase().replace(/[^a-z]/g, '');
  return ['clientid', 'objectid', 'msiresid', 'miresid', 'principalid', 'resid', 'identity'].includes(
    letters,
  );
}
