import type { Socket } from 'node:net';

/** Counts connections and the bytes that came in over them, whether they made a request or not. */
export class ByteTap {
  readonly #open = new Set<Socket>();
  #connections = 0;
  #closedBytes = 0;

  attach(socket: Socket): void {
    this.#connections += 1;
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#closedBytes += socket.bytesRead;
    });
  }

  get connections(): number {
    return this.#connections;
  }

  get openConnections(): number {
    return this.#open.size;
  }

  get bytesReceived(): number {
    return [...this.#open].reduce((sum, socket) => sum + socket.bytesRead, this.#closedBytes);
  }
}
