import { validateHeaderName, validateHeaderValue, type OutgoingHttpHeaders } from 'node:http';
import { MsiProxyError, type Clock, type Timer } from '@msi-proxy/shared';
import type { Asked } from '../asked.ts';
import { CONNECT_TIMEOUT_MILLIS } from '../connect-timeout.ts';
import { Deadlines, type Deadline } from '../deadlines.ts';
import type { UpstreamAnswer } from '../upstream-answer.ts';
import { clientLeft, upstreamFailure, upstreamTimeout } from '../upstream-failure.ts';
import type { Upstream } from '../upstream.ts';
import type { PlainConnection, PlainReceiver } from './plain-connection.ts';

export interface PlainClientOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
}

/** The answer must be asked for with `node:http`. */
export const NOT_PLAIN = Symbol('not-plain');

export type PlainOutcome = UpstreamAnswer | typeof NOT_PLAIN;

interface CallContext extends PlainClientOptions {
  readonly deadlines: Deadlines;
}

interface Settle {
  readonly resolve: (outcome: PlainOutcome) => void;
  readonly reject: (error: Error) => void;
}

/** Sends GETs over plain connections. */
export class PlainClient {
  readonly #context: CallContext;
  /** Headers as they are sent; the same object is sent again and again. */
  readonly #headerLines = new WeakMap<OutgoingHttpHeaders, string>();

  constructor(options: PlainClientOptions) {
    this.#context = { ...options, deadlines: new Deadlines(options.clock) };
  }

  /** Rejects as `ImdsClient.get`. */
  readonly get = (asked: Asked): Promise<PlainOutcome> =>
    new Promise((resolve, reject) => {
      if (asked.client?.hasLeft === true) throw clientLeft();
      const text = this.#requestText(asked.target, asked.headers);
      new PlainCall(this.#context, text, { resolve, reject }).start(asked);
    });

  #requestText(target: string, headers: OutgoingHttpHeaders): string {
    // The gate lets nothing else pass; a request line with a space or a line's end in it would be two things.
    if (!/^\/[\x21-\x7e]*$/.test(target)) throw new Error('a target that is not canonical was allowed');
    let lines = this.#headerLines.get(headers);
    if (lines === undefined) this.#headerLines.set(headers, (lines = headerLines(headers)));
    return `GET ${target} HTTP/1.1\r\n${lines}\r\n`;
  }
}

function headerLines(headers: OutgoingHttpHeaders): string {
  return Object.entries({ ...headers, Connection: 'keep-alive' })
    .flatMap(([name, values]) => {
      validateHeaderName(name);
      return [values ?? []].flat().map(value => {
        const text = String(value);
        validateHeaderValue(name, text);
        return `${name}: ${text}\r\n`;
      });
    })
    .join('');
}

/** One GET under way. */
class PlainCall implements PlainReceiver {
  readonly #context: CallContext;
  readonly #text: string;
  readonly #settle: Settle;
  #connection: PlainConnection | undefined;
  #deadline: Deadline | undefined;
  #connectTimer: Timer | undefined;
  #stopListening: (() => void) | undefined;
  #hasEnded = false;

  /** @param text the whole request */
  constructor(context: CallContext, text: string, settle: Settle) {
    this.#context = context;
    this.#text = text;
    this.#settle = settle;
  }

  start({ timeoutMillis, client }: Pick<Asked, 'timeoutMillis' | 'client'>): void {
    const { upstream, clock, deadlines } = this.#context;
    const timeUp = () => this.#abort(upstreamTimeout('no whole answer', timeoutMillis));
    this.#deadline = deadlines.add(clock.monotonicMillis() + timeoutMillis, timeUp);
    this.#stopListening = client?.onLeave(() => this.#abort(clientLeft()));
    upstream.plain.take(connection => this.#send(connection));
  }

  answered(answer: UpstreamAnswer): void {
    // It came at the last moment, and nobody wants it any more.
    if (this.#hasEnded) return;
    this.#end();
    this.#context.upstream.plain.release(this.#connection!);
    this.#settle.resolve(answer);
  }

  notPlain(): void {
    this.#end();
    this.#settle.resolve(NOT_PLAIN);
  }

  tooLarge(): void {
    this.#end();
    const text = `the answer is larger than ${this.#context.maxResponseBytes} bytes`;
    this.#settle.reject(new MsiProxyError('MSI_UPSTREAM_TOO_LARGE', text));
  }

  failed(error: Error, isUntouched: boolean): void {
    this.#end();
    this.#settle.reject(upstreamFailure(error, this.#connection!.isReused && isUntouched));
  }

  #send(connection: PlainConnection): void {
    const { upstream, clock, maxResponseBytes } = this.#context;
    // It waited for a connection, and nobody wants it any more.
    if (this.#hasEnded) {
      upstream.plain.release(connection);
      return;
    }
    this.#connection = connection;
    if (connection.isConnecting) {
      const notConnected = () => this.#abort(upstreamTimeout('no connection', CONNECT_TIMEOUT_MILLIS));
      this.#connectTimer = clock.setTimer(notConnected, CONNECT_TIMEOUT_MILLIS);
      connection.onConnect(() => this.#connectTimer?.cancel());
    }
    connection.send(this.#text, maxResponseBytes, this);
  }

  #abort(error: Error): void {
    this.#end();
    this.#connection?.destroy();
    this.#settle.reject(error);
  }

  #end(): void {
    this.#hasEnded = true;
    this.#context.deadlines.cancel(this.#deadline);
    this.#connectTimer?.cancel();
    this.#stopListening?.();
  }
}
