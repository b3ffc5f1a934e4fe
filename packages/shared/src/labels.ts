/** The labels that are the product's interface to containers. Names are a contract; they are never changed. */

/** Marks a container as a proxy. The key decides; the value is ignored. */
export const PROXY_LABEL = 'MSIProxyContainer';

/** Marks a container as a client of the proxy. The key decides; the value is ignored. */
export const CLIENT_LABEL = 'MSIClientContainer';

/** Every label below this prefix is policy; one that is not known makes the container refused. */
export const POLICY_LABEL_PREFIX = 'com.msi-proxy.';

export const IDENTITY_LABEL = 'com.msi-proxy.identity';
export const IDENTITIES_LABEL = 'com.msi-proxy.identities';
export const RESOURCES_LABEL = 'com.msi-proxy.resources';
export const ENDPOINTS_LABEL = 'com.msi-proxy.endpoints';

export const POLICY_LABELS = [IDENTITY_LABEL, IDENTITIES_LABEL, RESOURCES_LABEL, ENDPOINTS_LABEL] as const;
export type PolicyLabel = (typeof POLICY_LABELS)[number];

/** A container's labels as the Docker API gives them. */
export type Labels = Readonly<Record<string, string>>;

export function hasProxyLabel(labels: Labels): boolean {
  return Object.hasOwn(labels, PROXY_LABEL);
}

export function hasClientLabel(labels: Labels): boolean {
  return Object.hasOwn(labels, CLIENT_LABEL);
}
