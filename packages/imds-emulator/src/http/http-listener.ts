import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, MsiProxyError, type HostPort } from '@msi-proxy/shared';

/**
 * Starts listening.
 *
 * @returns the address, with the port that was given if 0 was asked for
 * @throws {MsiProxyError} `MSI_LISTEN_FAILED`
 */
export async function listen(server: Server, { host, port }: HostPort): Promise<HostPort> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new MsiProxyError('MSI_LISTEN_FAILED', `cannot listen on ${host}:${port}: ${messageOf(cause)}`, {
      cause,
    });
  }
  const address = server.address() as AddressInfo;
  return { host: address.address, port: address.port };
}

/** Stops listening and closes every connection. A server that does not listen is left as it is. */
export async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
