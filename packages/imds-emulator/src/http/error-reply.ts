import {
  identityError,
  instanceError,
  vmExtensionError,
  type IdentityErrorCode,
  type Reply,
} from './reply.ts';
import type { ErrorShape } from '../routes/endpoint.ts';

interface Wording {
  readonly code: IdentityErrorCode;
  readonly text: string;
}

const WORDINGS: Readonly<Record<number, Wording>> = {
  404: { code: 'not_found', text: 'Not found' },
  410: { code: 'server_error', text: 'The service is being updated' },
  429: { code: 'invalid_request', text: 'Temporarily throttled, too many requests' },
  503: { code: 'service_unavailable', text: 'Internal service unavailable. Retry later' },
};

const OTHER: Wording = { code: 'server_error', text: 'Internal server error' };

// The extension has no other words for what is not the client's fault.
const NO_TOKEN = 'Failed to retrieve token from the Active directory';

/**
 * An error answer in the shape of the category. The one for 429 in the identity category is what IMDS was seen to
 * answer (Azure/azure-sdk-for-net#39574), without `Retry-After`; of the others only the status is documented.
 */
export function errorReply(status: number, shape: ErrorShape): Reply {
  if (shape === 'vm-extension') return vmExtensionError(status, 'unknown', NO_TOKEN);
  const { code, text } = WORDINGS[status] ?? OTHER;
  return shape === 'identity' ? identityError(status, code, text) : instanceError(status, text);
}
