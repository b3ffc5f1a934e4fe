import { connect } from 'node:net';
import type { ProxyEndpoint } from '../wiring/proxy-endpoint.ts';

/** The address of a container that has died answers with a reset for some milliseconds, and then not at all. */
const TIMEOUT_MILLIS = 500;

/** Whether something accepts TCP connections there. Does not involve the engine. */
export async function isReachable({ address, port }: ProxyEndpoint): Promise<boolean> {
  return await new Promise(resolve => {
    const socket = connect({ host: address, port, timeout: TIMEOUT_MILLIS });
    const settle = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}
