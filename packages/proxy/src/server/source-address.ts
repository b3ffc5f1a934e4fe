import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** IPv4 in its own notation also where the socket listens on IPv6. */
function plainAddress(address: string | undefined): string {
  return address?.startsWith('::') === true ? address.replace(/^::ffff:/i, '') : (address ?? '');
}

export function sourceAddress(socket: Socket): string {
  return plainAddress(socket.remoteAddress);
}

/** From the proxy's own network namespace: nobody else can ask from the very address that is asked. */
export function isFromInside({ socket }: IncomingMessage): boolean {
  return plainAddress(socket.remoteAddress) === plainAddress(socket.localAddress);
}
