import { connect, type Socket } from 'node:net';
import type { HostPort } from '@msi-proxy/shared';
import { readPlainHead, type PlainHead } from './plain-head.ts';

/** Who waits for an answer. Exactly one of its functions is called, once. */
export interface PlainReceiver {
  readonly answered: (head: PlainHead, body: Buffer) => void;
  /** What came is for `node:http` to read; the connection is closed. */
  readonly notPlain: () => void;
  /** The body is longer than it may be; the connection is closed. */
  readonly tooLarge: () => void;
  /** @param isUntouched nothing had come yet */
  readonly failed: (error: Error, isUntouched: boolean) => void;
}

const MAX_HEAD_BYTES = 16 * 1024;
const END_OF_HEAD = '\r\n\r\n';

/** A connection to IMDS, for one request after the other. */
export class PlainConnection {
  readonly #socket: Socket;
  readonly #idleMillis: number;
  #receiver: PlainReceiver | undefined;
  #maxBytes = 0;
  #head: PlainHead | undefined;
  #chunks: Buffer[] = [];
  #length = 0;
  #isTouched = false;
  #requests = 0;
  #error: Error | undefined;
  #endsAfterAnswer = false;

  constructor({ host, port }: HostPort, idleMillis: number, onClose: () => void) {
    this.#idleMillis = idleMillis;
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.setTimeout(idleMillis);
    this.#socket.on('data', chunk => this.#take(chunk));
    this.#socket.on('error', error => (this.#error = error));
    this.#socket.on('end', () => this.#socket.destroy());
    // Counts from what was sent or came last.
    this.#socket.on('timeout', () => {
      if (this.#receiver === undefined) this.#socket.destroy();
    });
    this.#socket.on('close', () => {
      const receiver = this.#finish();
      onClose();
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
    if (length > this.#maxBytes) this.#giveUp(receiver.tooLarge);
    else if (this.#length > length) this.#giveUp(receiver.notPlain);
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
    const head = end === -1 ? undefined : readPlainHead(received.toString('latin1', 0, end));
    if (head === undefined) {
      this.#giveUp(receiver.notPlain);
      return false;
    }
    this.#head = head;
    const body = received.subarray(end + END_OF_HEAD.length);
    this.#chunks = [body];
    this.#length = body.length;
    return true;
  }

  #answer(receiver: PlainReceiver, head: PlainHead): void {
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#finish();
    const idleMillis = Math.min(this.#idleMillis, keptMillis(head));
    this.#endsAfterAnswer = idleMillis === 0;
    if (idleMillis !== this.#socket.timeout) this.#socket.setTimeout(idleMillis);
    receiver.answered(head, body);
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

/** How long the server keeps the connection, less a second for what is on the way (as Node's agent reads it). */
function keptMillis({ headers }: PlainHead): number {
  if (/\bclose\b/i.test(headers.get('connection') ?? '')) return 0;
  const seconds = /\btimeout=(\d{1,6})\b/i.exec(headers.get('keep-alive') ?? '')?.[1];
  return seconds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Number(seconds) - 1) * 1_000;
}

/** As Node says it. */
function hangUp(): Error {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
}
