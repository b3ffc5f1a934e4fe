import {
  ENDPOINTS_LABEL,
  IDENTITIES_LABEL,
  IDENTITY_LABEL,
  POLICY_LABEL_PREFIX,
  POLICY_LABELS,
  RESOURCES_LABEL,
  type Labels,
} from '../labels.ts';
import {
  DEFAULT_ENDPOINT_GROUPS,
  ENDPOINT_GROUPS,
  isEndpointGroup,
  type EndpointGroup,
} from './endpoints.ts';
import { IDENTITY_GRAMMAR, parseIdentity, sameIdentity, type IdentityRef } from './identity.ts';
import { problem, type LabelProblem } from './problem.ts';
import { parseResourcePattern, RESOURCE_GRAMMAR, type ResourcePattern } from './resources.ts';

/** What a client container may have. Plain data: it travels to the proxy as JSON. */
export interface ClientPolicy {
  /** Given to token requests that name no identity. Always among {@link identities}. */
  readonly defaultIdentity?: IdentityRef;
  readonly identities: 'any' | readonly IdentityRef[];
  readonly resources: 'any' | readonly ResourcePattern[];
  readonly endpoints: readonly EndpointGroup[];
}

export interface PolicyOptions {
  /** Refuse a client that names no identity, instead of letting it use any of the VM's. */
  readonly requireIdentity?: boolean;
}

export type PolicyResult =
  | { readonly ok: true; readonly policy: ClientPolicy }
  | { readonly ok: false; readonly problems: readonly LabelProblem[] };

// Longer values are no policy that somebody wrote by hand; the bound keeps a hostile one from costing work.
const MAX_VALUE_LENGTH = 4096;
const MAX_LIST_ITEMS = 64;

/**
 * Reads a client's policy from its labels: all of it or none of it.
 *
 * @param labels all labels of the container; those outside `com.msi-proxy.` are ignored
 * @returns the policy, or every problem found, so that the author needs one attempt only
 */
export function parseClientPolicy(labels: Labels, options: PolicyOptions = {}): PolicyResult {
  const problems: LabelProblem[] = [...unknownLabels(labels)];

  const defaultIdentity = readIdentity(labels, problems);
  const furtherIdentities = readIdentities(labels, problems);
  const resources = readResources(labels, problems);
  const endpoints = readEndpoints(labels, problems);

  const namesNone =
    !isSet(labels, IDENTITY_LABEL) && (!isSet(labels, IDENTITIES_LABEL) || furtherIdentities === 'any');
  if (options.requireIdentity === true && namesNone) {
    problems.push(problem(IDENTITY_LABEL, '', `${IDENTITY_GRAMMAR}; a client must name its identity here`));
  }
  if (problems.length > 0) return { ok: false, problems };

  const identities = allowedIdentities(defaultIdentity, furtherIdentities);
  return {
    ok: true,
    policy: { ...(defaultIdentity && { defaultIdentity }), identities, resources, endpoints },
  };
}

function isSet(labels: Labels, label: string): boolean {
  return Object.hasOwn(labels, label);
}

function unknownLabels(labels: Labels): LabelProblem[] {
  const known: readonly string[] = POLICY_LABELS;
  return Object.keys(labels)
    .filter(label => label.toLowerCase().startsWith(POLICY_LABEL_PREFIX) && !known.includes(label))
    .map(label =>
      problem(label, labels[label] ?? '', `no such label; known are ${POLICY_LABELS.join(', ')}`),
    );
}

function readIdentity(labels: Labels, problems: LabelProblem[]): IdentityRef | undefined {
  if (!isSet(labels, IDENTITY_LABEL)) return undefined;
  const value = labels[IDENTITY_LABEL] ?? '';
  const identity = value.length <= MAX_VALUE_LENGTH ? parseIdentity(value.trim()) : undefined;
  if (identity === undefined) problems.push(problem(IDENTITY_LABEL, value, IDENTITY_GRAMMAR));
  return identity;
}

function readIdentities(labels: Labels, problems: LabelProblem[]): 'any' | IdentityRef[] | undefined {
  return readList(
    labels,
    IDENTITIES_LABEL,
    `${IDENTITY_GRAMMAR}, comma-separated, or "*"`,
    parseIdentity,
    problems,
  );
}

function readResources(labels: Labels, problems: LabelProblem[]): 'any' | ResourcePattern[] {
  return readList(labels, RESOURCES_LABEL, RESOURCE_GRAMMAR, parseResourcePattern, problems) ?? 'any';
}

function readEndpoints(labels: Labels, problems: LabelProblem[]): readonly EndpointGroup[] {
  const expected = `endpoint groups of ${ENDPOINT_GROUPS.join(', ')}, comma-separated`;
  const parse = (text: string) => (isEndpointGroup(text) ? text : undefined);
  const groups = readList(labels, ENDPOINTS_LABEL, expected, parse, problems, { star: false });
  return groups === undefined || groups === 'any' ? DEFAULT_ENDPOINT_GROUPS : [...new Set(groups)];
}

function readList<T>(
  labels: Labels,
  label: string,
  expected: string,
  parse: (text: string) => T | undefined,
  problems: LabelProblem[],
  { star }: { star: boolean } = { star: true },
): 'any' | T[] | undefined {
  if (!isSet(labels, label)) return undefined;
  const value = labels[label] ?? '';
  if (star && value.trim() === '*') return 'any';
  const items = value.length <= MAX_VALUE_LENGTH ? value.split(',') : [];
  if (items.length === 0 || items.length > MAX_LIST_ITEMS) {
    const limits = `at most ${MAX_LIST_ITEMS} items and ${MAX_VALUE_LENGTH} characters`;
    problems.push(problem(label, value, `${expected}; ${limits}`));
    return undefined;
  }
  const parsed: T[] = [];
  for (const item of items) {
    const result = parse(item.trim());
    if (result === undefined) problems.push(problem(label, item.trim(), expected));
    else parsed.push(result);
  }
  return parsed;
}

function allowedIdentities(
  defaultIdentity: IdentityRef | undefined,
  further: 'any' | readonly IdentityRef[] | undefined,
): 'any' | readonly IdentityRef[] {
  if (further === 'any') return 'any';
  if (defaultIdentity === undefined) return further ?? 'any';
  const others = (further ?? []).filter(identity => !sameIdentity(identity, defaultIdentity));
  return [defaultIdentity, ...others];
}
