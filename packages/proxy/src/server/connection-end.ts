import type { Socket } from 'node:net';

const listenersOf = new WeakMap<Socket, Set<() => void>>();

/**
 * Tells when a connection is over. One listener of the socket serves all requests of the connection: a client may have
 * many under way on it, and Node 22 tells only the first of them.
 *
 * @returns a function that ends the subscription
 */
export function onConnectionEnd(socket: Socket, listener: () => void): () => void {
  const listeners = listenersOf.get(socket) ?? follow(socket);
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function follow(socket: Socket): Set<() => void> {
  const listeners = new Set<() => void>();
  listenersOf.set(socket, listeners);
  socket.once('close', () => {
    for (const listener of [...listeners]) listener();
  });
  return listeners;
}
