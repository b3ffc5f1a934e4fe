import { connect, type Socket } from 'node:net';
import type { HostPort } from '@msi-proxy/shared';
import type { UpstreamAnswer } from '../upstream-answer.ts';
import type { AnswerHead } from './answer-head.ts';

/** Who waits for an answer. Exactly one of its functions is called, once. */
export interface PlainReceiver {
  answered(answer: UpstreamAnswer): void;
  /** What came is for `node:http` to read; the connection is closed. */
  notPlain(): void;
  /** The body is longer than it may be; the connection is closed. */
  tooLarge(): void;
  /** @param isUntouched nothing had come yet */
  failed(error: Error, isUntouched: boolean): void;
}

export interface PlainConnectionOptions {
  readonly address: HostPort;
  /** After which a connection without a request is closed. */
  readonly idleMillis: number;
  /** `undefined` for what is not plain. */
  readonly readHead: (text: string) => AnswerHead | undefined;
  /** Gives an answer to who waits for it. */
  readonly deliver: (answer: UpstreamAnswer, receiver: PlainReceiver) => void;
  readonly onClose: () => void;
}

const MAX_HEAD_BYTES = 16 * 1024;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** Most answers are smaller; larger ones are read in several pieces. */
const READ_BYTES = 16 * 1024;

const SHARED_BYTES = 1_024;

/** A connection to IMDS, for one request after the other. */
export class PlainConnection {
  readonly #options: PlainConnectionOptions;
  readonly #socket: Socket;
  #receiver: PlainReceiver | undefined;
  #maxBytes = 0;
  #head: AnswerHead | undefined;
  #chunks: Buffer[] = [];
  #length = 0;
  #isTouched = false;
  #requests = 0;
  #error: Error | undefined;
  #endsAfterAnswer = false;

  constructor(options: PlainConnectionOptions) {
    this.#options = options;
    // One buffer for all that is read, of which what came is copied: without it Node makes one of 64 KB for each answer.
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (length: number, buffer: Uint8Array) => {
        this.#take(copyOf(buffer, length));
        return true;
      },
    };
    this.#socket = connect({ ...options.address, noDelay: true, onread });
    this.#socket.setTimeout(options.idleMillis);
    this.#socket.on('error', error => (this.#error = error));
    this.#socket.on('end', () => this.#socket.destroy());
    // Counts from what was sent or came last.
    this.#socket.on('timeout', () => {
      if (this.#receiver === undefined) this.#socket.destroy();
    });
    this.#socket.on('close', () => {
      const receiver = this.#finish();
      options.onClose();
      receiver?.failed(this.#error ?? hangUp(), !this.#isTouched);
    });
  }

  get isConnecting(): boolean {
    return this.#socket.connecting;
  }

  /** It has carried a request before the present one. */
  get isReused(): boolean {
    return this.#requests > 1;
  }

  get isUsable(): boolean {
    return !this.#endsAfterAnswer && !this.#socket.destroyed && this.#receiver === undefined;
  }

  onConnect(listener: () => void): void {
    this.#socket.once('connect', listener);
  }

  /** @param text a whole request, one character a byte */
  send(text: string, maxBytes: number, receiver: PlainReceiver): void {
    this.#requests += 1;
    this.#receiver = receiver;
    this.#maxBytes = maxBytes;
    this.#length = 0;
    this.#isTouched = false;
    this.#socket.write(text, 'latin1');
  }

  /** Whoever waits is told nothing any more. */
  destroy(): void {
    this.#receiver = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const receiver = this.#receiver;
    // Nobody has asked for it.
    if (receiver === undefined) {
      this.#socket.destroy();
      return;
    }
    this.#isTouched = true;
    this.#length += chunk.length;
    this.#chunks.push(chunk);
    if (this.#head === undefined && !this.#readHead(receiver)) return;
    const { length } = this.#head!;
    if (length > this.#maxBytes) this.#giveUp(() => receiver.tooLarge());
    else if (this.#length > length) this.#giveUp(() => receiver.notPlain());
    else if (this.#length === length) this.#answer(receiver, this.#head!);
  }

  /** @returns whether there is a head now, in which case the chunks are what has come of the body */
  #readHead(receiver: PlainReceiver): boolean {
    const received = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const end = received.indexOf(END_OF_HEAD);
    if (end === -1 && received.length <= MAX_HEAD_BYTES) {
      this.#chunks = [received];
      return false;
    }
    const head = end === -1 ? undefined : this.#options.readHead(received.toString('latin1', 0, end));
    if (head === undefined) {
      this.#giveUp(() => receiver.notPlain());
      return false;
    }
    this.#head = head;
    const body = received.subarray(end + END_OF_HEAD.length);
    this.#chunks = [body];
    this.#length = body.length;
    return true;
  }

  #answer(receiver: PlainReceiver, { keptMillis, answer }: AnswerHead): void {
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#finish();
    const idleMillis = Math.min(this.#options.idleMillis, keptMillis);
    this.#endsAfterAnswer = idleMillis === 0;
    if (idleMillis !== this.#socket.timeout) this.#socket.setTimeout(idleMillis);
    this.#options.deliver({ ...answer, body }, receiver);
  }

  #giveUp(tell: () => void): void {
    this.#finish();
    this.#socket.destroy();
    tell();
  }

  #finish(): PlainReceiver | undefined {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.#head = undefined;
    this.#chunks = [];
    return receiver;
  }
}

function copyOf(buffer: Uint8Array, length: number): Buffer {
  // Small ones share a buffer of Node's, as its own do. A token is larger: it is kept, and must not keep others with it.
  const copy = length < SHARED_BYTES ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
  copy.set(buffer.subarray(0, length));
  return copy;
}

/** As Node says it. */
function hangUp(): Error {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
}
