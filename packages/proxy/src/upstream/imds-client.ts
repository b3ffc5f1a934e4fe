import { request as httpRequest } from 'node:http';
import type { Clock, Timer } from '@msi-proxy/shared';
import { limitConnecting } from './connect-timeout.ts';
import { readAnswer, type UpstreamAnswer } from './upstream-answer.ts';
import { isStaleConnection, upstreamFailure, upstreamTimeout } from './upstream-failure.ts';
import type { Upstream } from './upstream.ts';

export interface ImdsClientOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
  readonly userAgent: string;
}

/** Asks IMDS on the proxy's own behalf, for answers that several clients share. */
export class ImdsClient {
  readonly #options: ImdsClientOptions;

  constructor(options: ImdsClientOptions) {
    this.#options = options;
  }

  /**
   * @param target sent as it is
   * @param timeoutMillis for the whole answer
   * @throws {MsiProxyError} `MSI_UPSTREAM_FAILED`, `MSI_UPSTREAM_TIMEOUT` or `MSI_UPSTREAM_TOO_LARGE`
   */
  async get(target: string, timeoutMillis: number): Promise<UpstreamAnswer> {
    const { upstream } = this.#options;
    try {
      const answer = await this.#getOverLivingConnection(target, timeoutMillis);
      upstream.answered();
      return answer;
    } catch (error) {
      upstream.failed(error);
      throw error;
    }
  }

  async #getOverLivingConnection(target: string, timeoutMillis: number): Promise<UpstreamAnswer> {
    try {
      return await this.#getOnce(target, timeoutMillis);
    } catch (error) {
      if (!isStaleConnection(error)) throw error;
      this.#options.upstream.closeIdle();
      return await this.#getOnce(target, timeoutMillis);
    }
  }

  async #getOnce(target: string, timeoutMillis: number): Promise<UpstreamAnswer> {
    const { upstream, clock, maxResponseBytes, userAgent } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
    const { host, port } = upstream.address;
    const request = httpRequest({
      host,
      port,
      path: target,
      agent: upstream.agent,
      headers: {
        Host: upstream.hostHeader,
        Metadata: 'true',
        // As curl in Microsoft's samples; the form is chosen by `format`.
        Accept: '*/*',
        'User-Agent': userAgent,
      },
    });
    let connectTimer: Timer | undefined;
    const timer = clock.setTimer(() => {
      reject(upstreamTimeout('no whole answer', timeoutMillis));
      request.destroy();
    }, timeoutMillis);
    request.on('socket', () => {
      connectTimer = limitConnecting(request, clock, reject);
    });
    request.on('error', error => reject(upstreamFailure(error, request.reusedSocket)));
    request.on('response', answer => {
      readAnswer(answer, maxResponseBytes).then(resolve, reject);
    });
    request.end();
    try {
      return await promise;
    } finally {
      timer.cancel();
      connectTimer?.cancel();
    }
  }
}
