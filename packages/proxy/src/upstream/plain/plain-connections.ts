import type { HostPort } from '@msi-proxy/shared';
import { BoundedMemo } from '../../gate/bounded-memo.ts';
import type { ConnectionPlaces } from '../connection-places.ts';
import { readAnswerHead } from './answer-head.ts';
import type { UpstreamAnswer } from '../upstream-answer.ts';
import { PlainConnection, type PlainReceiver } from './plain-connection.ts';

export interface PlainConnectionsOptions {
  readonly address: HostPort;
  readonly places: ConnectionPlaces;
  /** After which a connection without a request is closed. */
  readonly idleMillis: number;
}

// Answers differ in their length, and from second to second in their date.
const HEAD_MEMO_LIMITS = { maxEntries: 100, maxLength: 1_024 };

interface Arrived {
  readonly answer: UpstreamAnswer;
  readonly receiver: PlainReceiver;
}

/** Connections for one plain request at a time each, kept for the next one. */
export class PlainConnections {
  readonly #options: PlainConnectionsOptions;
  readonly #all = new Set<PlainConnection>();
  /** The last one was used last. */
  readonly #idle: PlainConnection[] = [];
  /** Answers that have come in this turn of the event loop. */
  #arrived: Arrived[] = [];
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

  /**
   * While several calls are under way, answers wait for the end of the turn of the event loop, so that those that come together
   * are dealt with together: what is sent then goes out in one go. IMDS and the clients sleep meanwhile, and to wake one
   * costs more processor time than everything else about a request; who is still awake costs nothing.
   */
  readonly #deliver = (answer: UpstreamAnswer, receiver: PlainReceiver): void => {
    const underWay = this.#all.size - this.#idle.length;
    if (underWay === 1) {
      receiver.answered(answer);
      return;
    }
    if (this.#arrived.length === 0) setImmediate(this.#deliverAll);
    this.#arrived.push({ answer, receiver });
  };

  readonly #deliverAll = (): void => {
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const { answer, receiver } of arrived) receiver.answered(answer);
  };

  #open(): PlainConnection {
    const { address, places, idleMillis } = this.#options;
    const onClose = () => {
      this.#all.delete(connection);
      const index = this.#idle.indexOf(connection);
      if (index !== -1) this.#idle.splice(index, 1);
      places.release();
    };
    const readHead = (text: string) => this.#heads.get(text);
    const deliver = this.#deliver;
    const connection = new PlainConnection({ address, idleMillis, readHead, deliver, onClose });
    this.#all.add(connection);
    return connection;
  }
}
