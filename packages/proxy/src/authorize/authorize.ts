import {
  ENDPOINTS_LABEL,
  formatIdentity,
  IDENTITIES_LABEL,
  IDENTITY_LABEL,
  permitsIdentity,
  permitsResource,
  RESOURCES_LABEL,
  type ClientPolicy,
  type EndpointGroup,
  type Grant,
  type IdentityRef,
} from '@msi-proxy/shared';
import { badRequest, forbidden, identityNotFound, notFound, type LocalAnswer } from '@msi-proxy/shared/http';
import type { GatedRequest, Parameter, QueryParameter } from '../gate/gated-request.ts';
import {
  identityParameter,
  isIdentityParameter,
  requestedIdentity,
  type IdentityGroup,
  type RequestedIdentity,
} from './identity-parameter.ts';

/** Why a request was denied; stable words for metrics and audit lines. */
export type DenyReason =
  | 'not-labelled'
  | 'client-refused'
  | 'endpoint-not-granted'
  | 'identity-malformed'
  | 'identity-not-granted'
  | 'identity-required'
  | 'resource-not-granted'
  | 'resource-malformed'
  | 'parameter-not-granted';

export type Decision = Allowed | Denied;

export interface Allowed {
  readonly kind: 'allow';
  /** What to send upstream: the target as received, with the policy's identity added where the request names none. */
  readonly target: string;
  /** The parameter that names the policy's identity, where the request names none. */
  readonly added?: Parameter;
  /** The identity that the answer will be for, where that is known. */
  readonly identity?: IdentityRef;
  /** Whose token it must be. Not said where the client may have anybody's and IMDS may not read what it wrote. */
  readonly mustBelongTo?: IdentityRef;
  /** What the request itself names. */
  readonly askedIdentity?: IdentityRef;
  readonly resource?: string;
  /** What to do about user data in the answer: the client may read `instance`, but perhaps not that. */
  readonly userData: 'granted' | 'stripped' | 'reported';
  /** Why it would be denied if the policies were enforced. */
  readonly wouldDeny?: DenyReason;
}

export interface Denied {
  readonly kind: 'deny';
  readonly answer: LocalAnswer;
  readonly reason: DenyReason;
  readonly askedIdentity?: IdentityRef;
  readonly resource?: string;
}

export interface AuthorizeOptions {
  /** `audit`: labelled clients are not denied anything by their policy, but it is recorded. */
  readonly mode: 'enforce' | 'audit';
  /**
   * Give no tokens to clients whose policy names no identity, instead of those of any of the VM's. A policy of `*` alone
   * names none either: it is the same as one without identity labels.
   */
  readonly requireIdentity: boolean;
}

/**
 * Parameters that do not change whose token it is or for what audience. A client whose policy is restricted may use
 * only these besides identity and resource, because nobody knows what IMDS reads into others; one that may have
 * everything may send everything.
 */
const HARMLESS_PARAMETERS = new Set([
  'api-version',
  'cred-api-version',
  'resource',
  // How fresh, and with which capabilities of the client. Azure AD reads the audience from elsewhere.
  'bypass_cache',
  'claims',
  'token_sha256_to_refresh',
  'xms_cc',
]);

/**
 * Who issues the token, in Microsoft's clouds; for the same identity (IMDS's swagger), so it is harmless. Hadoop sends
 * it. Any other host would be one to which IMDS might prove itself as the identity.
 */
const MICROSOFT_AUTHORITY =
  /^https:\/\/login\.(?:microsoftonline\.(?:com|us)|partner\.microsoftonline\.cn|chinacloudapi\.cn|windows\.net)(?:\/[A-Za-z0-9.-]*)?\/?$/;

/** Decides whether this caller may have this. `grant` is absent when nobody is known at the caller's address. */
export function authorize(
  request: GatedRequest,
  grant: Grant | undefined,
  options: AuthorizeOptions,
): Decision {
  const { endpoint } = request;
  // What is neither is not labelled, or is of a kind that only a later version of the monitor knows.
  if (grant?.kind !== 'client' && grant?.kind !== 'refused') return denyUnlabelled(request);
  if (grant.kind === 'refused') {
    return deny(
      'client-refused',
      forbidden(endpoint.errorShape, `This container is refused: ${grant.reason}`),
    );
  }
  const { allowed, denied } = decide(request, grant.policy, options);
  if (denied === undefined) return allowed;
  return options.mode === 'audit' ? { ...allowed, wouldDeny: denied.reason } : denied;
}

/** What the request is if it is allowed, and why it is not. */
interface Choice {
  readonly allowed: Allowed;
  readonly denied?: Denied | undefined;
}

function decide(request: GatedRequest, policy: ClientPolicy, options: AuthorizeOptions): Choice {
  const { endpoint, target } = request;
  const { group } = endpoint;
  const asItIs: Allowed = { kind: 'allow', target, userData: 'granted' };
  if (group === 'versions' || group === 'ready') return { allowed: asItIs };
  if (group === 'token' || group === 'credential') return decideIdentity(request, group, policy, options);
  if (!policy.endpoints.includes(group)) return { allowed: asItIs, denied: endpointDenial(request, group) };
  if (group !== 'instance' || policy.endpoints.includes('userdata')) return { allowed: asItIs };
  return { allowed: { ...asItIs, userData: options.mode === 'audit' ? 'reported' : 'stripped' } };
}

function endpointDenial({ endpoint }: GatedRequest, group: EndpointGroup): Denied {
  const text = `Endpoint group "${group}" is not granted to this container (label ${ENDPOINTS_LABEL})`;
  // On 404 MSAL says that only the older protocol is here, which applications expect; 403 is an error to them.
  const answer = group === 'credential' ? notFound('identity', text) : forbidden(endpoint.errorShape, text);
  return deny('endpoint-not-granted', answer);
}

/** As on a VM without an identity: credential chains go on to their next credential. */
function denyUnlabelled({ endpoint }: GatedRequest): Denied {
  if (endpoint.group === 'credential') return deny('not-labelled', notFound('identity'));
  if (endpoint.errorShape === 'identity') return deny('not-labelled', identityNotFound());
  const text = 'This container has no access to instance metadata (label MSIClientContainer)';
  return deny('not-labelled', forbidden(endpoint.errorShape, text));
}

function decideIdentity(
  request: GatedRequest,
  group: IdentityGroup,
  policy: ClientPolicy,
  options: AuthorizeOptions,
): Choice {
  const requested = requestedIdentity(request.query, group);
  const resource = request.query.find(({ name }) => name === 'resource')?.value;
  const facts = {
    ...(requested.kind === 'named' && { askedIdentity: requested.identity }),
    ...(resource !== undefined && { resource }),
  };
  const denied =
    (policy.endpoints.includes(group) ? undefined : endpointDenial(request, group)) ??
    malformedIdentityDenial(requested, policy) ??
    requiredIdentityDenial(policy, options) ??
    parameterDenial(request, policy) ??
    (requested.kind === 'named' ? namedIdentityDenial(requested.identity, policy) : undefined) ??
    (requested.kind === 'none' ? unnamedIdentityDenial(policy) : undefined) ??
    (group === 'token' ? resourceDenial(resource, policy) : credentialDenial(policy));
  const allowed = { ...withIdentity(request, group, requested, policy), ...facts };
  return { allowed, denied: denied && { ...denied, ...facts } };
}

/** The request with the identity that it is for, as far as that is known. */
function withIdentity(
  { target }: GatedRequest,
  group: IdentityGroup,
  requested: RequestedIdentity,
  { defaultIdentity }: ClientPolicy,
): Allowed {
  const asItIs: Allowed = { kind: 'allow', target, userData: 'granted' };
  switch (requested.kind) {
    case 'malformed':
      return asItIs;
    case 'named': {
      const { identity, isReadByImds } = requested;
      return { ...asItIs, identity, ...(isReadByImds && { mustBelongTo: identity }) };
    }
    case 'none': {
      if (defaultIdentity === undefined) return asItIs;
      // A default of `system` adds nothing: IMDS has no parameter for it.
      const added = identityParameter(defaultIdentity, group);
      return {
        ...asItIs,
        identity: defaultIdentity,
        mustBelongTo: defaultIdentity,
        ...(added && { added, target: appendParameter(target, added) }),
      };
    }
  }
}

function malformedIdentityDenial(
  requested: RequestedIdentity,
  { identities }: ClientPolicy,
): Denied | undefined {
  if (requested.kind === 'malformed') {
    return deny('identity-malformed', badRequest('identity', requested.text));
  }
  if (requested.kind === 'none' || requested.isReadByImds || identities === 'any') return undefined;
  // IMDS would ignore it and choose, perhaps an identity that is not granted.
  const text = `${requested.parameter} is not understood here; name the identity by client_id`;
  return deny('identity-malformed', badRequest('identity', text));
}

/** Whether the request names an identity or not: the policy is what must. */
function requiredIdentityDenial(
  { identities, defaultIdentity }: ClientPolicy,
  { requireIdentity }: AuthorizeOptions,
): Denied | undefined {
  if (!requireIdentity || defaultIdentity !== undefined || identities !== 'any') return undefined;
  const text = `This container must say which identity it uses (label ${IDENTITY_LABEL})`;
  return deny('identity-required', forbidden('identity', text));
}

function parameterDenial({ query }: GatedRequest, policy: ClientPolicy): Denied | undefined {
  if (policy.identities === 'any' && policy.resources === 'any') return undefined;
  const unknown = query.find(parameter => !isHarmless(parameter) && !isIdentityParameter(parameter.name));
  if (unknown === undefined) return undefined;
  const text = `Query parameter ${unknown.name} is not granted to a container with restricted identities or resources`;
  return deny('parameter-not-granted', forbidden('identity', text));
}

function isHarmless({ name, value }: QueryParameter): boolean {
  return HARMLESS_PARAMETERS.has(name) || (name === 'authority' && MICROSOFT_AUTHORITY.test(value));
}

function namedIdentityDenial(identity: IdentityRef, policy: ClientPolicy): Denied | undefined {
  const { identities } = policy;
  if (identities === 'any' || permitsIdentity(policy, identity)) return undefined;
  // A client id and a resource id may belong to one identity. Nothing here can tell, so it is refused, and said.
  const spelling = identities.some(allowed => allowed.kind !== identity.kind && allowed.kind !== 'system')
    ? '; identities are compared as they are spelt, a client id is not matched with a resource id'
    : '';
  const text = `Identity ${formatIdentity(identity)} is not granted to this container (labels ${IDENTITY_LABEL}, ${IDENTITIES_LABEL}${spelling})`;
  return deny('identity-not-granted', forbidden('identity', text));
}

function unnamedIdentityDenial({ defaultIdentity, identities }: ClientPolicy): Denied | undefined {
  if (defaultIdentity !== undefined || identities === 'any') return undefined;
  // Without a name IMDS chooses, and may choose one that is not granted.
  const text = `This request names no identity, and the container has no default one (label ${IDENTITY_LABEL})`;
  return deny('identity-required', forbidden('identity', text));
}

function resourceDenial(resource: string | undefined, policy: ClientPolicy): Denied | undefined {
  if (resource === undefined || resource === '') {
    return deny(
      'resource-malformed',
      badRequest('identity', "Required query variable 'resource' is missing"),
    );
  }
  if (policy.resources === 'any') return undefined;
  // Another reader may decode a plus sign to a space and a percent sign once more, or fold what is not ASCII; then what
  // is compared here is not what it reads. No audience needs any of them.
  if (/[^\x21-\x7e]|[+%]/.test(resource)) {
    return deny('resource-malformed', badRequest('identity', 'The resource is not valid'));
  }
  if (permitsResource(policy, resource)) return undefined;
  const text = `Tokens for this resource are not granted to this container (label ${RESOURCES_LABEL})`;
  return deny('resource-not-granted', forbidden('identity', text));
}

/** With the credential a client gets tokens from Azure AD itself, for every audience. */
function credentialDenial({ resources }: ClientPolicy): Denied | undefined {
  if (resources === 'any') return undefined;
  const text = `Credentials are good for any resource, and this container's are restricted (label ${RESOURCES_LABEL})`;
  return deny('resource-not-granted', forbidden('identity', text));
}

function appendParameter(target: string, { name, value }: Parameter): string {
  const parameter = `${name}=${encodeURIComponent(value)}`;
  const mark = target.indexOf('?');
  if (mark === -1) return `${target}?${parameter}`;
  return target.endsWith('?') ? `${target}${parameter}` : `${target}&${parameter}`;
}

function deny(reason: DenyReason, answer: LocalAnswer): Denied {
  return { kind: 'deny', answer, reason };
}
