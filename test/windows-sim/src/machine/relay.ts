import { connect, createServer, type Socket } from 'node:net';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Forwards connections of one listening endpoint, as iphlpsvc does: accept first, then connect. */
export interface Relay {
  /** New connections go there; the ones that exist stay where they are (protocol.md 4.2). */
  retarget(target: Endpoint): void;
  /** Stops listening. */
  close(): void;
  /** Ends the connections too. */
  destroy(): void;
}

/** @returns undefined when nothing can listen there, for example since the address does not exist */
export type OpenRelay = (listen: Endpoint, target: Endpoint) => Promise<Relay | undefined>;

export const openRelay: OpenRelay = async (listen, initialTarget) => {
  let target = initialTarget;
  const sockets = new Set<Socket>();
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // The other half is ended by its own handler; an error always ends in `close`.
    socket.on('error', () => {});
    return socket;
  };
  const server = createServer({ allowHalfOpen: true }, accepted => {
    const inner = track(accepted);
    const outer = track(connect({ host: target.address, port: target.port, allowHalfOpen: true }));
    inner.pipe(outer).pipe(inner);
    inner.on('close', () => outer.destroy());
    outer.on('close', () => inner.destroy());
  });
  const isListening = await new Promise<boolean>(resolve => {
    server.once('error', () => resolve(false));
    server.listen({ host: listen.address, port: listen.port }, () => resolve(true));
  });
  if (!isListening) return undefined;
  const close = () => void server.close();
  return {
    retarget: next => (target = next),
    close,
    destroy() {
      close();
      for (const socket of sockets) socket.destroy();
    },
  };
};
