import { READY_PATH, TOKEN_PATH, VM_EXTENSION_PATH } from '@msi-proxy/shared';
import { errorShapeOf } from '@msi-proxy/shared/http';
import type { Endpoint } from './gated-request.ts';

const EXACT_ENDPOINTS: Readonly<Record<string, Endpoint['group']>> = {
  [READY_PATH]: 'ready',
  '/metadata/versions': 'versions',
  [TOKEN_PATH]: 'token',
  [VM_EXTENSION_PATH]: 'token',
  '/metadata/identity/info': 'identity-info',
  '/metadata/attested/document': 'attested',
  '/metadata/scheduledevents': 'scheduledevents',
  '/metadata/loadbalancer': 'loadbalancer',
  // MSAL's newer protocol. The calls that issue a credential are POSTs with a body, which the gate does not let pass.
  '/metadata/identity/getplatformmetadata': 'credential',
  '/metadata/identity/issuecredential': 'credential',
  '/metadata/identity/credential': 'credential',
};

const INSTANCE_PATH = '/metadata/instance';

// IMDS may read the names of leaves in any case, so they are compared without.
const USER_DATA_SEGMENTS = new Set(['userdata', 'customdata']);

/**
 * What a canonical path means; `undefined` for everything that is not known. Default deny matters here: undocumented
 * paths such as `/metadata/reprovisiondata` hold provisioning secrets.
 */
export function endpointOf(path: string, method: string): Endpoint | undefined {
  const exact = Object.hasOwn(EXACT_ENDPOINTS, path) ? EXACT_ENDPOINTS[path] : undefined;
  if (exact === 'scheduledevents' && method === 'POST') return endpoint('scheduledevents-ack', path);
  if (exact !== undefined) return endpoint(exact, path);
  if (path !== INSTANCE_PATH && !path.startsWith(`${INSTANCE_PATH}/`)) return undefined;
  const asksUserData = path.split('/').some(segment => USER_DATA_SEGMENTS.has(segment.toLowerCase()));
  return endpoint(asksUserData ? 'userdata' : 'instance', path);
}

function endpoint(group: Endpoint['group'], path: string): Endpoint {
  return { group, errorShape: errorShapeOf(path) };
}
