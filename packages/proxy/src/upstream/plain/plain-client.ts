import { validateHeaderName, validateHeaderValue, type OutgoingHttpHeaders } from 'node:http';
import { MsiProxyError, type Clock, type Timer } from '@msi-proxy/shared';
import { hopByHopNames, withoutHeaders } from '../../relay/hop-by-hop.ts';
import type { Asked } from '../asked.ts';
import { CONNECT_TIMEOUT_MILLIS } from '../connect-timeout.ts';
import type { UpstreamAnswer } from '../upstream-answer.ts';
import { clientLeft, upstreamFailure, upstreamTimeout } from '../upstream-failure.ts';
import type { Upstream } from '../upstream.ts';
import type { PlainConnection } from './plain-connection.ts';
import type { PlainHead } from './plain-head.ts';

export interface PlainClientOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
}

/** The answer must be asked for with `node:http`. */
export const NOT_PLAIN = Symbol('not-plain');

/** Sends GETs over plain connections. */
export class PlainClient {
  readonly #options: PlainClientOptions;
  /** Headers as they are sent; the same object is sent again and again. */
  readonly #headerLines = new WeakMap<OutgoingHttpHeaders, string>();

  constructor(options: PlainClientOptions) {
    this.#options = options;
  }

  /** Rejects as `ImdsClient.get`. */
  readonly get = async ({
    target,
    headers,
    timeoutMillis,
    client,
  }: Asked): Promise<UpstreamAnswer | typeof NOT_PLAIN> => {
    const { upstream, clock } = this.#options;
    if (client?.hasLeft === true) throw clientLeft();
    const text = this.#requestText(target, headers);
    return await new Promise((resolve, reject) => {
      let connection: PlainConnection | undefined;
      let connectTimer: Timer | undefined;
      let hasEnded = false;
      const end = () => {
        hasEnded = true;
        timer.cancel();
        connectTimer?.cancel();
        stopListening?.();
      };
      const abort = (error: Error) => {
        end();
        connection?.destroy();
        reject(error);
      };
      const timer = clock.setTimer(
        () => abort(upstreamTimeout('no whole answer', timeoutMillis)),
        timeoutMillis,
      );
      const stopListening = client?.onLeave(() => abort(clientLeft()));
      upstream.plain.take(taken => {
        // It waited for a connection, and nobody wants it any more.
        if (hasEnded) {
          upstream.plain.release(taken);
          return;
        }
        connection = taken;
        if (taken.isConnecting) {
          connectTimer = clock.setTimer(
            () => abort(upstreamTimeout('no connection', CONNECT_TIMEOUT_MILLIS)),
            CONNECT_TIMEOUT_MILLIS,
          );
          taken.onConnect(() => connectTimer?.cancel());
        }
        this.#send(taken, text, { end, resolve, reject });
      });
    });
  };

  #send(
    connection: PlainConnection,
    text: string,
    {
      end,
      resolve,
      reject,
    }: {
      readonly end: () => void;
      readonly resolve: (answer: UpstreamAnswer | typeof NOT_PLAIN) => void;
      readonly reject: (error: Error) => void;
    },
  ): void {
    const { upstream, maxResponseBytes } = this.#options;
    connection.send(text, maxResponseBytes, {
      answered: (head, body) => {
        end();
        upstream.plain.release(connection);
        resolve(answerOf(head, body));
      },
      notPlain: () => {
        end();
        resolve(NOT_PLAIN);
      },
      tooLarge: () => {
        end();
        const text = `the answer is larger than ${maxResponseBytes} bytes`;
        reject(new MsiProxyError('MSI_UPSTREAM_TOO_LARGE', text));
      },
      failed: (error, isUntouched) => {
        end();
        reject(upstreamFailure(error, connection.isReused && isUntouched));
      },
    });
  }

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

function answerOf({ status, statusText, rawHeaders, headers }: PlainHead, body: Buffer): UpstreamAnswer {
  return {
    status,
    statusText,
    rawHeaders: withoutHeaders(rawHeaders, hopByHopNames(headers.get('connection'))),
    contentType: headers.get('content-type'),
    contentEncoding: headers.get('content-encoding'),
    contentLength: headers.get('content-length'),
    body,
  };
}
