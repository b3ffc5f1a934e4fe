import type { HostPort } from '@msi-proxy/shared';
import { BoundedMemo } from '../../gate/bounded-memo.ts';
import type { ConnectionPlaces } from '../connection-places.ts';
import { readAnswerHead } from './answer-head.ts';
import { PlainConnection } from './plain-connection.ts';

export interface PlainConnectionsOptions {
  readonly address: HostPort;
  readonly places: ConnectionPlaces;
  /** After which a connection without a request is closed. */
  readonly idleMillis: number;
}

// Answers differ in their length, and from second to second in their date.
const HEAD_MEMO_LIMITS = { maxEntries: 100, maxLength: 1_024 };

/** Connections for one plain request at a time each, kept for the next one. */
export class PlainConnections {
  readonly #options: PlainConnectionsOptions;
  readonly #all = new Set<PlainConnection>();
  /** The last one was used last. */
  readonly #idle: PlainConnection[] = [];
  readonly #heads = new BoundedMemo(readAnswerHead, HEAD_MEMO_LIMITS);

  constructor(options: PlainConnectionsOptions) {
    this.#options = options;
  }

  /**
   * Calls back with a connection for one request: at once if there is an idle one, or room for another. Whoever does not
   * want it any more gives it to {@link release}.
   */
  take(use: (connection: PlainConnection) => void): void {
    let idle = this.#idle.pop();
    while (idle?.isUsable === false) idle = this.#idle.pop();
    if (idle === undefined) this.#options.places.take(() => use(this.#open()));
    else use(idle);
  }

  /** It is of no use to whoever took it any more. */
  release(connection: PlainConnection): void {
    if (!connection.isUsable || this.#options.places.isWanted) connection.destroy();
    else this.#idle.push(connection);
  }

  /** @returns whether there was one */
  closeOneIdle(): boolean {
    const connection = this.#idle.shift();
    connection?.destroy();
    return connection !== undefined;
  }

  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  destroy(): void {
    for (const connection of [...this.#all]) connection.destroy();
  }

  #open(): PlainConnection {
    const { address, places, idleMillis } = this.#options;
    const onClose = () => {
      this.#all.delete(connection);
      const index = this.#idle.indexOf(connection);
      if (index !== -1) this.#idle.splice(index, 1);
      places.release();
    };
    const readHead = (text: string) => this.#heads.get(text);
    const connection = new PlainConnection({ address, idleMillis, readHead, onClose });
    this.#all.add(connection);
    return connection;
  }
}
