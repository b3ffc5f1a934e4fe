import { vmResourceId, type VirtualMachine } from '../vm/virtual-machine.ts';

/** An identity of the VM, as far as tokens speak of it. */
export interface TokenIdentity {
  readonly clientId: string;
  readonly objectId: string;
  /** Of the user-assigned identity; of the VM for its system-assigned one. */
  readonly resourceId: string;
}

export type IdentitySelection =
  | { readonly kind: 'identity'; readonly identity: TokenIdentity }
  | { readonly kind: 'not-found' }
  /** None was named, and there are several to choose from. */
  | { readonly kind: 'ambiguous' }
  /** More than one parameter names an identity. */
  | { readonly kind: 'conflicting' };

type IdentityMatcher = (identity: TokenIdentity, id: string) => boolean;

const byClientId: IdentityMatcher = ({ clientId }, id) => sameText(clientId, id);
const byObjectId: IdentityMatcher = ({ objectId }, id) => sameText(objectId, id);
const byResourceId: IdentityMatcher = ({ resourceId }, id) => sameText(resourceId, id);

/** All spellings in use: the swagger has the first three, SDKs send the others too. */
const ID_PARAMETERS: Readonly<Record<string, IdentityMatcher>> = {
  client_id: byClientId,
  object_id: byObjectId,
  msi_res_id: byResourceId,
  mi_res_id: byResourceId,
  'msi-res-id': byResourceId,
};

/**
 * Picks the identity that a token request means. Without an id it is the system-assigned one, or the only
 * user-assigned one. An id parameter with an empty value counts as absent.
 */
export function selectIdentity(vm: VirtualMachine, query: ReadonlyMap<string, string>): IdentitySelection {
  const named = Object.entries(ID_PARAMETERS).filter(([parameter]) => (query.get(parameter) ?? '') !== '');
  if (named.length > 1) return { kind: 'conflicting' };

  const system = systemIdentity(vm);
  const [parameter, matches] = named[0] ?? [];
  if (parameter !== undefined && matches !== undefined) {
    const id = query.get(parameter) ?? '';
    const candidates = [...(system === undefined ? [] : [system]), ...vm.userAssignedIdentities];
    return found(candidates.find(identity => matches(identity, id)));
  }
  if (system !== undefined || vm.userAssignedIdentities.length <= 1) {
    return found(system ?? vm.userAssignedIdentities[0]);
  }
  return { kind: 'ambiguous' };
}

function systemIdentity(vm: VirtualMachine): TokenIdentity | undefined {
  return vm.systemAssignedIdentity === null
    ? undefined
    : { ...vm.systemAssignedIdentity, resourceId: vmResourceId(vm) };
}

function found(identity: TokenIdentity | undefined): IdentitySelection {
  return identity === undefined ? { kind: 'not-found' } : { kind: 'identity', identity };
}

function sameText(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
