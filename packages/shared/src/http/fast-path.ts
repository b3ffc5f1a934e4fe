import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FairTurns } from './fair-turns.ts';

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
 * @param later to be called by who answers later, once; the next request is looked at after that answer
 * @returns the whole answer, one character a byte, or what `later` gave, or `undefined` to let the request go the usual way
 */
export type FastAnswer = (
  text: string,
  close: boolean,
  later: () => FastReply,
) => string | FastReply | undefined;

/** Takes the answer to one request when it is there. */
export interface FastReply {
  /** The connection ends with this answer. */
  readonly isLast: boolean;
  /** The client does not wait any more. */
  readonly hasLeft: boolean;
  /** @returns a function that ends the subscription */
  onLeave(listener: () => void): () => void;
  /** @param text the whole answer, one character a byte, which says so itself if it is the last */
  send(text: string, isLast: boolean): void;
  /** Ends the connection without an answer. */
  destroy(): void;
}

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
  /** Who takes turns with others, whose connections are theirs. */
  readonly caller: string;
  readonly turns: FairTurns;
  readonly maxRequests: number;
  readonly idleMillis: number;
  /** Takes the connection from here on, beginning with these bytes. */
  readonly handOver: (received: Buffer) => void;
  /** Told when an answer is waited for, and when no longer. */
  readonly onWaiting: (isWaiting: boolean) => void;
}

/** Serves a connection as long as all that comes over it is known, and gives it away with the first bytes that are not. */
export function serveFast(options: FastConnectionOptions): void {
  new FastConnection(options).start();
}

class FastConnection {
  readonly #options: FastConnectionOptions;
  readonly #socket: Socket;
  #requests = 0;
  /** Whose answer is waited for. */
  #reply: LaterReply | undefined;
  /** A request has come and waits for its turn. */
  #waitsForTurn = false;
  /** What came meanwhile. */
  #held: Buffer | undefined;
  #hasEnded = false;

  constructor(options: FastConnectionOptions) {
    this.#options = options;
    this.#socket = options.socket;
  }

  start(): void {
    const socket = this.#socket;
    // Also ends clients that do not read.
    socket.setTimeout(this.#options.idleMillis);
    socket.on('data', this.#take);
    socket.on('end', this.#end);
    socket.on('timeout', this.#timeOut);
    socket.on('error', this.#destroy);
    socket.on('close', this.#leave);
  }

  #giveAway(received: Buffer): void {
    const socket = this.#socket;
    socket.setTimeout(0);
    socket.off('data', this.#take);
    socket.off('end', this.#end);
    socket.off('timeout', this.#timeOut);
    socket.off('error', this.#destroy);
    socket.off('close', this.#leave);
    this.#options.handOver(received);
  }

  readonly #take = (chunk: Buffer): void => {
    if (this.#reply !== undefined || this.#waitsForTurn) {
      // Nobody sends a request before it has the answer to the last one; one that does waits, and can send no more.
      this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
      this.#socket.pause();
      return;
    }
    const { turns, caller } = this.#options;
    if (turns.admits(caller)) this.#answer(chunk);
    else {
      this.#waitsForTurn = true;
      this.#options.onWaiting(true);
      turns.next(caller, () => this.#takeTurn(chunk));
    }
  };

  #takeTurn(chunk: Buffer): void {
    this.#waitsForTurn = false;
    this.#options.onWaiting(false);
    if (this.#socket.destroyed) return;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#socket.resume();
    this.#answer(held === undefined ? chunk : Buffer.concat([chunk, held]));
    // Of a client that has sent all it will, those who listen now must hear it, too.
    if (this.#hasEnded) this.#socket.emit('end');
  }

  #answer(chunk: Buffer): void {
    // Answers that a client does not read must not pile up here; the usual way has limits for that.
    const isServed = this.#socket.writableLength === 0 && chunk.length <= MAX_REQUEST_BYTES;
    const isLast = this.#requests + 1 >= this.#options.maxRequests;
    const answer = isServed ? this.#options.answer(chunk.toString('latin1'), isLast, this.#begin) : undefined;
    if (answer === undefined) this.#giveAway(chunk);
    else if (typeof answer === 'string') this.#write(answer, isLast);
  }

  #write(text: string, isLast: boolean): void {
    this.#requests += 1;
    this.#socket.write(text, 'latin1');
    if (!isLast) return;
    this.#socket.off('data', this.#take);
    this.#socket.destroySoon();
  }

  readonly #begin = (): FastReply => {
    const isLast = this.#requests + 1 >= this.#options.maxRequests;
    this.#options.onWaiting(true);
    return (this.#reply = new LaterReply(this.#socket, isLast, this.#settle));
  };

  readonly #settle = (text: string, isLast: boolean): void => {
    this.#reply = undefined;
    this.#options.onWaiting(false);
    this.#write(text, isLast);
    const held = this.#held;
    if (held === undefined || isLast) return;
    this.#held = undefined;
    this.#socket.resume();
    this.#take(held);
  };

  readonly #leave = (): void => {
    const reply = this.#reply;
    if (reply === undefined) return;
    this.#reply = undefined;
    this.#options.onWaiting(false);
    reply.leave();
  };

  readonly #end = (): void => {
    if (this.#waitsForTurn) this.#hasEnded = true;
    else this.#socket.end();
  };

  /** Who answers later has a limit of its own. */
  readonly #timeOut = (): void => {
    if (this.#reply === undefined) this.#socket.destroy();
  };

  readonly #destroy = (): void => {
    this.#socket.destroy();
  };
}

class LaterReply implements FastReply {
  readonly isLast: boolean;
  readonly #socket: Socket;
  /** Forgotten with the answer, so that there is never a second one. */
  #settle: ((text: string, isLast: boolean) => void) | undefined;
  #listener: (() => void) | undefined;

  constructor(socket: Socket, isLast: boolean, settle: (text: string, isLast: boolean) => void) {
    this.#socket = socket;
    this.isLast = isLast;
    this.#settle = settle;
  }

  get hasLeft(): boolean {
    return this.#settle === undefined || this.#socket.destroyed;
  }

  onLeave(listener: () => void): () => void {
    this.#listener = listener;
    return () => {
      if (this.#listener === listener) this.#listener = undefined;
    };
  }

  send(text: string, isLast: boolean): void {
    const settle = this.#settle;
    this.#settle = undefined;
    if (!this.#socket.destroyed) settle?.(text, isLast || this.isLast);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  leave(): void {
    this.#settle = undefined;
    this.#listener?.();
  }
}
