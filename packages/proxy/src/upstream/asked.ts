import type { OutgoingHttpHeaders } from 'node:http';

/** A GET to IMDS. */
export interface Asked {
  /** Sent as it is. */
  readonly target: string;
  /** With `Host`, without `Connection`. */
  readonly headers: OutgoingHttpHeaders;
  /** For the whole answer. */
  readonly timeoutMillis: number;
  /** The one for whom alone it is asked. */
  readonly client: Waiting | undefined;
}

/** Somebody who waits for an answer, and may not wait to the end. */
export interface Waiting {
  readonly hasLeft: boolean;
  /** @returns a function that ends the subscription */
  onLeave(listener: () => void): () => void;
}
