import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import httpProxy from 'http-proxy';
import type { Clock, Timer } from '@msi-proxy/shared';
import { forwardedHeaders } from './relay/forwarded-headers.ts';
import { limitConnecting } from './upstream/connect-timeout.ts';
import { readAnswer, type UpstreamAnswer } from './upstream/upstream-answer.ts';
import {
  clientLeft,
  isStaleConnection,
  upstreamFailure,
  upstreamTimeout,
} from './upstream/upstream-failure.ts';
import type { Upstream } from './upstream/upstream.ts';

export interface RelayRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Sent as it is. */
  readonly target: string;
  /** The request's body, which was read before; empty for GET and HEAD. */
  readonly body: Buffer;
  /** For everything until the whole answer is there. */
  readonly timeoutMillis: number;
  /** The answer will be read here: it is asked for whole and without compression. */
  readonly isInspected: boolean;
}

export interface RelayOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
}

/** The events of one request to IMDS. */
interface Attempt {
  /** It has a connection, or is getting one; nothing has been sent yet. */
  readonly sending: (upstreamRequest: ClientRequest) => void;
  readonly answering: (answer: IncomingMessage) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Sends requests to IMDS through `http-proxy`. The library has known faults (docs/adr/0002), so it only does what it
 * does right: it sees requests that passed the gate, gets our agent and a body of known length, and hands the answer to
 * us (`selfHandleResponse`) instead of piping it.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #proxy: httpProxy;
  readonly #attempts = new WeakMap<IncomingMessage, Attempt>();

  constructor(options: RelayOptions) {
    this.#options = options;
    const { host, port } = options.upstream.address;
    this.#proxy = httpProxy.createProxyServer({
      target: { protocol: 'http:', host, port },
      selfHandleResponse: true,
      xfwd: false,
      ws: false,
      // Sends `request.url` as it is; otherwise the library parses and re-assembles it.
      toProxy: true,
      prependPath: false,
    });
    this.#proxy.on('proxyReq', (upstreamRequest, request) =>
      this.#attempts.get(request)?.sending(upstreamRequest),
    );
    this.#proxy.on('proxyRes', (answer, request) => this.#attempts.get(request)?.answering(answer));
    // Errors reach the callback of each call; without a listener a stray one would end the process.
    this.#proxy.on('error', () => undefined);
    // Instead of the callback, when the client has left.
    this.#proxy.on('econnreset', (error, request) => this.#attempts.get(request)?.failed(error));
  }

  /**
   * @throws {MsiProxyError} `MSI_UPSTREAM_FAILED`, `MSI_UPSTREAM_TIMEOUT`, `MSI_UPSTREAM_TOO_LARGE` or `MSI_CLIENT_LEFT`
   */
  async send(relayed: RelayRequest): Promise<UpstreamAnswer> {
    const { upstream, clock } = this.#options;
    const { response, timeoutMillis } = relayed;
    const end = new AbortController();
    const leave = () => end.abort(clientLeft());
    const timer = clock.setTimer(
      () => end.abort(upstreamTimeout('no whole answer', timeoutMillis)),
      timeoutMillis,
    );
    response.once('close', leave);
    if (response.destroyed) leave();
    this.#prepare(relayed);
    try {
      const answer = await this.#attemptTwice(relayed, end.signal);
      upstream.answered();
      return answer;
    } catch (error) {
      if (!response.destroyed) upstream.failed(error, timeoutMillis);
      throw error;
    } finally {
      timer.cancel();
      response.off('close', leave);
    }
  }

  async #attemptTwice(relayed: RelayRequest, signal: AbortSignal): Promise<UpstreamAnswer> {
    try {
      return await this.#attempt(relayed, signal);
    } catch (error) {
      // What does not change anything can be repeated.
      if (!isStaleConnection(error) || relayed.request.method === 'POST') throw error;
      this.#options.upstream.closeIdle();
      return await this.#attempt(relayed, signal);
    }
  }

  async #attempt({ request, response, body }: RelayRequest, signal: AbortSignal): Promise<UpstreamAnswer> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
    let upstreamRequest: ClientRequest | undefined;
    let connectTimer: Timer | undefined;
    const abort = () => {
      reject(signal.reason as Error);
      upstreamRequest?.destroy();
    };
    const failed = (error: unknown) => reject(upstreamFailure(error, upstreamRequest?.reusedSocket));
    this.#attempts.set(request, {
      sending: sent => {
        upstreamRequest = sent;
        // It waited for a free connection, and nobody wants it any more.
        if (signal.aborted) sent.destroy();
        else connectTimer = limitConnecting(sent, this.#options.clock, reject);
      },
      answering: answer => {
        readAnswer(answer, this.#options.maxResponseBytes).then(resolve, reject);
      },
      failed,
    });
    signal.addEventListener('abort', abort);
    const forgetAttempt = rememberListeners(request);
    try {
      const buffer = Readable.from(body.length > 0 ? [body] : []);
      this.#proxy.web(request, response, { agent: this.#options.upstream.agent, buffer }, failed);
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
      forgetAttempt();
      connectTimer?.cancel();
    }
  }

  /** The library sends `request.url` and `request.headers`; it does not remove what belongs to the client's connection. */
  #prepare({ request, target, body, isInspected }: RelayRequest): void {
    request.url = target;
    const { hostHeader } = this.#options.upstream;
    request.headers = forwardedHeaders(request.headers, { hostHeader, isInspected });
    if (body.length > 0) request.headers['content-length'] = String(body.length);
  }
}

/** What the library listens to on the client's request, and does not leave: it expects to send each request once. */
const LEFT_BEHIND = ['aborted', 'error'] as const;

/** @returns a function that removes those that have come since */
function rememberListeners(request: IncomingMessage): () => void {
  const before = LEFT_BEHIND.map(name => new Set(request.listeners(name)));
  return () => {
    LEFT_BEHIND.forEach((name, index) => {
      const added = request.listeners(name).filter(listener => !before[index]!.has(listener));
      for (const listener of added) request.off(name, listener as () => void);
    });
  };
}
