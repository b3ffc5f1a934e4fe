import type { ServerResponse } from 'node:http';
import type { Clock } from '@msi-proxy/shared';
import {
  localWireText,
  sendLocalAnswer,
  type FastReply,
  type LocalAnswer,
  type SendOptions,
} from '@msi-proxy/shared/http';
import type { Waiting } from '../upstream/asked.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import { onConnectionEnd } from './connection-end.ts';
import { sendUpstreamAnswer, wireText, wireTextOnce } from './send-answer.ts';

export interface SendUpstreamOptions extends SendOptions {
  /** Others are sent the same answer, too. */
  readonly isShared: boolean;
}

/** Where the answer to one request goes. */
export interface Reply extends Waiting {
  /** A part of it, or all, has been sent. */
  readonly hasBegun: boolean;
  sendLocal(answer: LocalAnswer, options: SendOptions): void;
  sendUpstream(answer: UpstreamAnswer, options: SendUpstreamOptions): void;
  /** Ends the connection without an answer, or in the middle of one. */
  destroy(): void;
}

// Answers are small; a client that reads so slowly holds memory for nothing.
const SEND_TIMEOUT_MILLIS = 10_000;

/** To a request that came through Node's parser. */
export class ServerReply implements Reply {
  readonly #response: ServerResponse;
  readonly #clock: Clock;

  constructor(response: ServerResponse, clock: Clock) {
    this.#response = response;
    this.#clock = clock;
  }

  get hasLeft(): boolean {
    return this.#response.destroyed || this.#response.req.socket.destroyed;
  }

  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  onLeave(listener: () => void): () => void {
    const stop = onConnectionEnd(this.#response.req.socket, tell);
    const end = () => {
      stop();
      this.#response.off('close', tell);
    };
    function tell(): void {
      end();
      listener();
    }
    this.#response.once('close', tell);
    return end;
  }

  sendLocal(answer: LocalAnswer, options: SendOptions): void {
    sendLocalAnswer(this.#response, answer, options);
    this.#limitSending();
  }

  sendUpstream(answer: UpstreamAnswer, options: SendOptions): void {
    sendUpstreamAnswer(this.#response, answer, options);
    this.#limitSending();
  }

  destroy(): void {
    this.#response.destroy();
  }

  /** Ends connections to clients that do not read their answer. */
  #limitSending(): void {
    const response = this.#response;
    // The kernel has taken all of it.
    if (response.socket?.writableLength === 0) return;
    const timer = this.#clock.setTimer(() => response.destroy(), SEND_TIMEOUT_MILLIS);
    response.once('finish', () => timer.cancel());
    response.once('close', () => timer.cancel());
  }
}

/** To a GET that was known to the byte. */
export class KnownReply implements Reply {
  readonly #reply: FastReply;

  constructor(reply: FastReply) {
    this.#reply = reply;
  }

  get hasLeft(): boolean {
    return this.#reply.hasLeft;
  }

  get hasBegun(): boolean {
    return this.#reply.hasLeft;
  }

  onLeave(listener: () => void): () => void {
    return this.#reply.onLeave(listener);
  }

  sendLocal(answer: LocalAnswer, options: SendOptions): void {
    const close = options.close || this.#reply.isLast || answer.headers['Connection'] === 'close';
    this.#reply.send(localWireText(answer, { close }), close);
  }

  sendUpstream(answer: UpstreamAnswer, { close: mustClose, isShared }: SendUpstreamOptions): void {
    const close = mustClose || this.#reply.isLast;
    this.#reply.send(isShared ? wireText(answer, close) : wireTextOnce(answer, close), close);
  }

  destroy(): void {
    this.#reply.destroy();
  }
}
