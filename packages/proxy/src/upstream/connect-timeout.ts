import type { ClientRequest } from 'node:http';
import type { Clock, Timer } from '@msi-proxy/shared';
import { upstreamTimeout } from './upstream-failure.ts';

// IMDS is on the same machine. Long enough for a SYN that was dropped to be sent again, after 1 s.
export const CONNECT_TIMEOUT_MILLIS = 2_000;

/**
 * Ends a request to IMDS whose connection does not come about.
 *
 * @returns what to cancel when the request has ended otherwise; `undefined` when it already has its connection
 */
export function limitConnecting(
  request: ClientRequest,
  clock: Clock,
  reject: (error: Error) => void,
): Timer | undefined {
  const { socket } = request;
  if (socket?.connecting !== true) return undefined;
  const timer = clock.setTimer(() => {
    reject(upstreamTimeout('no connection', CONNECT_TIMEOUT_MILLIS));
    request.destroy();
  }, CONNECT_TIMEOUT_MILLIS);
  socket.once('connect', () => timer.cancel());
  return timer;
}
