import type { IncomingMessage } from 'node:http';
import { VM_EXTENSION_PATH } from '@msi-proxy/shared';
import { MAX_BODY_BYTES } from '@msi-proxy/shared/http';

/** What would make a body longer than it says, or have it wait for us. */
const BODY_HEADERS = ['transfer-encoding', 'trailer', 'expect'] as const;

/**
 * How long the body is that would have to be kept with a request: that of a form of the older VM extension's protocol,
 * the only one whose client has nothing else to ask for.
 *
 * @returns `undefined` for a request that cannot be kept
 */
export function holdableBodyLength({ method, url, headers }: IncomingMessage): number | undefined {
  const announced = headers['content-length'];
  if (method === 'GET' || method === 'HEAD') {
    return headers['transfer-encoding'] === undefined && Number(announced ?? 0) === 0 ? 0 : undefined;
  }
  if (method !== 'POST' || url !== VM_EXTENSION_PATH) return undefined;
  if (announced === undefined || BODY_HEADERS.some(name => headers[name] !== undefined)) return undefined;
  const length = Number(announced);
  return length > 0 && length <= MAX_BODY_BYTES ? length : undefined;
}
