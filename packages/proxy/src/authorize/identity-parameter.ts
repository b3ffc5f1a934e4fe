import { isGuid, isIdentityResourceId, type IdentityRef } from '@msi-proxy/shared';
import type { Parameter, QueryParameter } from '../gate/gated-request.ts';

/** The endpoint groups whose requests name an identity. */
export type IdentityGroup = 'token' | 'credential';

export type RequestedIdentity =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'named';
      readonly identity: IdentityRef;
      readonly parameter: string;
      /** Whether IMDS is known to read this parameter. What it does not read it ignores, and chooses by itself. */
      readonly isReadByImds: boolean;
    }
  | { readonly kind: 'malformed'; readonly text: string };

/** The spellings in use. */
const IDENTITY_PARAMETERS: Readonly<Record<string, Exclude<IdentityRef['kind'], 'system'>>> = {
  client_id: 'client-id',
  object_id: 'object-id',
  msi_res_id: 'resource-id',
  mi_res_id: 'resource-id',
  'msi-res-id': 'resource-id',
};

const READ_BY_IMDS: Readonly<Record<IdentityGroup, readonly string[]>> = {
  // The swagger's three; mi_res_id, which older SDKs send, is read too (Azure/azure-sdk-for-net#43076). Of msi-res-id,
  // which .NET sends in probes only, nobody knows.
  token: ['client_id', 'object_id', 'msi_res_id', 'mi_res_id'],
  // Not msi_res_id (AzureAD/microsoft-authentication-library-for-dotnet#5560).
  credential: ['client_id', 'object_id', 'mi_res_id'],
};

export function isIdentityParameter(name: string): boolean {
  return Object.hasOwn(IDENTITY_PARAMETERS, name);
}

/** The identity that a request names, in any of the spellings that IMDS may understand. */
export function requestedIdentity(query: readonly QueryParameter[], group: IdentityGroup): RequestedIdentity {
  const odd = query.find(({ name }) => looksLikeIdentity(name) && !isIdentityParameter(name));
  if (odd !== undefined) return malformed(`Unknown spelling of an identity parameter: ${odd.name}`);
  const [first, second] = query.filter(({ name }) => isIdentityParameter(name));
  if (first === undefined) return { kind: 'none' };
  if (second !== undefined) return malformed(`Only one of ${first.name} and ${second.name} may be given`);

  const { name: parameter, value: id } = first;
  const kind = IDENTITY_PARAMETERS[parameter]!;
  const isWellFormed = kind === 'resource-id' ? isIdentityResourceId(id) : isGuid(id);
  if (!isWellFormed) return malformed(`The value of ${parameter} is not valid`);
  const isReadByImds = READ_BY_IMDS[group].includes(parameter);
  return { kind: 'named', identity: { kind, id }, parameter, isReadByImds };
}

/** The parameter that names an identity to IMDS; none for the system-assigned one. */
export function identityParameter(identity: IdentityRef, group: IdentityGroup): Parameter | undefined {
  switch (identity.kind) {
    case 'system':
      return undefined;
    case 'client-id':
      return { name: 'client_id', value: identity.id };
    case 'object-id':
      return { name: 'object_id', value: identity.id };
    case 'resource-id':
      return { name: group === 'token' ? 'msi_res_id' : 'mi_res_id', value: identity.id };
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
