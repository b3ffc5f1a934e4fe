import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Answers requests that came before, to the byte, without parsing them anew. What bytes mean does not change; whatever
 * else an answer depends on is its own business each time.
 */
export interface FastPath {
  /** Begins with a connection. */
  connect(socket: Socket): FastAnswer;
  /** A request of these bytes, which stand for nothing but it, goes the usual way. */
  learn(text: string, request: IncomingMessage): void;
}

/**
 * @param text a whole request, one character a byte
 * @param close whether the connection ends with this answer
 * @returns the whole answer likewise, or `undefined` to let the request go the usual way
 */
export type FastAnswer = (text: string, close: boolean) => string | undefined;

/** Longer requests are not remembered. */
const MAX_REQUEST_BYTES = 2_048;

const END_OF_HEAD = '\r\n\r\n';

/** The text of bytes that look like one whole GET without a body; `undefined` for all others. */
export function wholeGet(chunk: Buffer): string | undefined {
  if (chunk.length > MAX_REQUEST_BYTES) return undefined;
  const text = chunk.toString('latin1');
  const isWhole = text.startsWith('GET ') && text.indexOf(END_OF_HEAD) === text.length - END_OF_HEAD.length;
  return isWhole ? text : undefined;
}

export interface FastConnectionOptions {
  readonly socket: Socket;
  readonly answer: FastAnswer;
  readonly maxRequests: number;
  readonly idleMillis: number;
  /** Takes the connection from here on, beginning with these bytes. */
  readonly handOver: (received: Buffer) => void;
}

/** Serves a connection as long as all that comes over it is known, and gives it away with the first bytes that are not. */
export function serveFast({
  socket,
  answer,
  maxRequests,
  idleMillis,
  handOver,
}: FastConnectionOptions): void {
  let requests = 0;
  const take = (chunk: Buffer) => {
    const isLast = requests + 1 >= maxRequests;
    // Answers that a client does not read must not pile up here; the usual way has limits for that.
    const isServed = socket.writableLength === 0 && chunk.length <= MAX_REQUEST_BYTES;
    const text = isServed ? answer(chunk.toString('latin1'), isLast) : undefined;
    if (text === undefined) {
      leave();
      handOver(chunk);
      return;
    }
    requests += 1;
    socket.write(text, 'latin1');
    if (!isLast) return;
    socket.off('data', take);
    socket.destroySoon();
  };
  const end = () => socket.end();
  const destroy = () => socket.destroy();
  const leave = () => {
    socket.setTimeout(0);
    socket.off('data', take);
    socket.off('end', end);
    socket.off('timeout', destroy);
    socket.off('error', destroy);
  };
  // Also ends clients that do not read.
  socket.setTimeout(idleMillis);
  socket.on('data', take);
  socket.on('end', end);
  socket.on('timeout', destroy);
  socket.on('error', destroy);
}
