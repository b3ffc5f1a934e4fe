import type { ServerResponse } from 'node:http';
import type { Clock } from '@msi-proxy/shared';

export interface EventListenerOptions {
  readonly response: ServerResponse;
  readonly clock: Clock;
}

/** A reader that has taken nothing for so long is let go; its browser comes back by itself. */
const PATIENCE_MILLIS = 15_000;

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** One reader of the stream (server-sent events). What it does not read is not piled up for it. */
export class EventListener {
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  #behindSinceMillis: number | undefined;
  #isStale = true;

  constructor({ response, clock }: EventListenerOptions) {
    this.#response = response;
    this.#clock = clock;
    response.on('error', () => undefined); // `close` follows
    response.on('drain', () => (this.#behindSinceMillis = undefined));
    response.writeHead(200, HEADERS);
  }

  /** It has missed an event, so that it needs the whole status next. */
  get isStale(): boolean {
    return this.#isStale;
  }

  sendWhole(event: string, json: string): void {
    this.#isStale = !this.#send(event, json);
  }

  sendChange(event: string, json: string): void {
    if (!this.#send(event, json)) this.#isStale = true;
  }

  /** Of no use later, so it is left out when the reader is behind. */
  sendBeat(event: string, json: string): void {
    this.#send(event, json);
  }

  end(): void {
    this.#response.end();
  }

  /** @returns whether it was taken */
  #send(event: string, json: string): boolean {
    const nowMillis = this.#clock.monotonicMillis();
    if (this.#behindSinceMillis !== undefined) {
      if (nowMillis - this.#behindSinceMillis > PATIENCE_MILLIS) this.#response.destroy();
      return false;
    }
    // JSON has no line breaks, which would end the event.
    if (!this.#response.write(`event: ${event}\ndata: ${json}\n\n`)) this.#behindSinceMillis = nowMillis;
    return true;
  }
}
