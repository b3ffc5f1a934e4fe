import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import type { Clock, Timer } from '@msi-proxy/shared';
import type { Asked, Waiting } from './asked.ts';
import { limitConnecting } from './connect-timeout.ts';
import { NOT_PLAIN, PlainClient, type PlainOutcome } from './plain/plain-client.ts';
import { readAnswer, type UpstreamAnswer } from './upstream-answer.ts';
import { clientLeft, isStaleConnection, upstreamFailure, upstreamTimeout } from './upstream-failure.ts';
import type { Upstream } from './upstream.ts';

export interface ImdsClientOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
  readonly userAgent: string;
}

export interface ImdsGetOptions {
  /** For the whole answer. */
  readonly timeoutMillis: number;
  /** With `Host`, without `Connection`; the proxy's own unless given. */
  readonly headers?: OutgoingHttpHeaders;
  /** The one for whom alone it is asked. */
  readonly client?: Waiting | undefined;
}

// How long answers are left to `node:http` after one that was not plain: what IMDS did once it will do again.
const NOT_PLAIN_MILLIS = 60_000;

/**
 * Asks IMDS with GETs, whose answers are plain (docs/adr/0027); those that are not are asked for again with
 * `node:http`.
 */
export class ImdsClient {
  readonly #options: ImdsClientOptions;
  readonly #plain: PlainClient;
  readonly #ownHeaders: OutgoingHttpHeaders;
  #plainFromMillis = 0;

  constructor(options: ImdsClientOptions) {
    this.#options = options;
    this.#plain = new PlainClient(options);
    this.#ownHeaders = {
      Host: options.upstream.hostHeader,
      Metadata: 'true',
      // As curl in Microsoft's samples; the form is chosen by `format`.
      Accept: '*/*',
      'User-Agent': options.userAgent,
    };
  }

  /**
   * @param target sent as it is
   * @throws {MsiProxyError} `MSI_UPSTREAM_FAILED`, `MSI_UPSTREAM_TIMEOUT`, `MSI_UPSTREAM_TOO_LARGE` or `MSI_CLIENT_LEFT`
   */
  async get(
    target: string,
    { timeoutMillis, headers = this.#ownHeaders, client }: ImdsGetOptions,
  ): Promise<UpstreamAnswer> {
    const { upstream, clock } = this.#options;
    const asked = { target, timeoutMillis, headers, client };
    const startMillis = clock.monotonicMillis();
    try {
      let answer: PlainOutcome = NOT_PLAIN;
      if (startMillis >= this.#plainFromMillis) {
        // Nearly always this is all: one promise, and none for what else may be.
        try {
          answer = await this.#plain.get(asked);
        } catch (error) {
          answer = await this.#getAgain(error, { asked, startMillis, getOnce: this.#plain.get });
        }
        if (answer === NOT_PLAIN) this.#plainFromMillis = clock.monotonicMillis() + NOT_PLAIN_MILLIS;
      }
      if (answer === NOT_PLAIN) answer = await this.#getWithNode(this.#askedSince(startMillis, asked));
      upstream.answered();
      return answer;
    } catch (error) {
      if (client?.hasLeft !== true) upstream.failed(error, timeoutMillis);
      throw error;
    }
  }

  async #getWithNode(asked: Asked): Promise<UpstreamAnswer> {
    const startMillis = this.#options.clock.monotonicMillis();
    try {
      return await this.#getOnce(asked);
    } catch (error) {
      return await this.#getAgain(error, { asked, startMillis, getOnce: this.#getOnce });
    }
  }

  /** Over another connection, if the one that failed was an idle one that IMDS had closed. */
  async #getAgain<Answer>(
    error: unknown,
    {
      asked,
      startMillis,
      getOnce,
    }: {
      readonly asked: Asked;
      readonly startMillis: number;
      readonly getOnce: (asked: Asked) => Promise<Answer>;
    },
  ): Promise<Answer> {
    if (!isStaleConnection(error)) throw error;
    this.#options.upstream.closeIdle();
    return await getOnce(this.#askedSince(startMillis, asked));
  }

  /** The same with the time that is left of it. */
  #askedSince(startMillis: number, asked: Asked): Asked {
    const sinceMillis = this.#options.clock.monotonicMillis() - startMillis;
    return { ...asked, timeoutMillis: Math.max(1, asked.timeoutMillis - sinceMillis) };
  }

  readonly #getOnce = async ({ target, timeoutMillis, headers, client }: Asked): Promise<UpstreamAnswer> => {
    const { upstream, clock, maxResponseBytes } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
    const { host, port } = upstream.address;
    const request = httpRequest({ host, port, path: target, agent: upstream.agent, headers });
    let connectTimer: Timer | undefined;
    const end = (error: Error) => {
      reject(error);
      request.destroy();
    };
    const timer = clock.setTimer(() => end(upstreamTimeout('no whole answer', timeoutMillis)), timeoutMillis);
    request.on('socket', () => {
      connectTimer = limitConnecting(request, clock, reject);
    });
    request.on('error', error => reject(upstreamFailure(error, request.reusedSocket)));
    request.on('response', answer => {
      readAnswer(answer, maxResponseBytes).then(resolve, reject);
    });
    request.end();
    const stopListening = client?.onLeave(() => end(clientLeft()));
    try {
      return await promise;
    } finally {
      timer.cancel();
      connectTimer?.cancel();
      stopListening?.();
    }
  };
}
