/** Groups of IMDS endpoints that policy grants one by one. Names are a contract (label `com.msi-proxy.endpoints`). */
export const ENDPOINT_GROUPS = [
  'token',
  'identity-info',
  'instance',
  'userdata',
  'loadbalancer',
  'attested',
  'scheduledevents',
  'scheduledevents-ack',
  'credential',
] as const;

export type EndpointGroup = (typeof ENDPOINT_GROUPS)[number];

/** What a client gets that names no groups. `/metadata/versions` is open to every client. */
export const DEFAULT_ENDPOINT_GROUPS: readonly EndpointGroup[] = [
  'token',
  'identity-info',
  'instance',
  'loadbalancer',
];

export function isEndpointGroup(text: string): text is EndpointGroup {
  return (ENDPOINT_GROUPS as readonly string[]).includes(text);
}
