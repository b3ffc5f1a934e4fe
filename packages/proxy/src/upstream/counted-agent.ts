import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ConnectionPlaces } from './connection-places.ts';

/** Node's pool of connections, which shares its places with another pool. */
export class CountedAgent extends Agent {
  readonly #places: ConnectionPlaces;

  constructor(options: AgentOptions, places: ConnectionPlaces) {
    super(options);
    this.#places = places;
    // After Node's own listener, which has made the connection an idle one if no request of this agent waits for it.
    this.on('free', () => {
      if (places.isWanted) this.closeOneIdle();
    });
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (err: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    let opened: Duplex | null | undefined;
    let isLate = false;
    this.#places.take(() => {
      opened = super.createConnection(options);
      opened?.once('close', () => this.#places.release());
      if (isLate && opened) callback?.(null, opened);
    });
    isLate = true;
    return opened;
  }

  /** @returns whether there was one */
  closeOneIdle(): boolean {
    const socket = Object.values(this.freeSockets).flatMap(sockets => sockets ?? [])[0];
    socket?.destroy();
    return socket !== undefined;
  }

  closeIdle(): void {
    for (const sockets of Object.values(this.freeSockets)) {
      for (const socket of [...(sockets ?? [])]) socket.destroy();
    }
  }
}
