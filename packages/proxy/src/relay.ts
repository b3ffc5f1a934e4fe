import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import httpProxy from 'http-proxy';
import { codeOf, messageOf, MsiProxyError, type Clock } from '@msi-proxy/shared';
import { hopByHopNames, withoutHeaders } from './relay/hop-by-hop.ts';
import type { Upstream } from './upstream/upstream.ts';

/** A whole answer of IMDS. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly statusText: string;
  /** Flat list of names and values as received, without hop-by-hop headers and Content-Length. */
  readonly rawHeaders: readonly string[];
  readonly contentType: string | undefined;
  /** As sent; of a HEAD it is not the length of the body. */
  readonly contentLength: string | undefined;
  readonly body: Buffer;
}

export interface RelayRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Sent as it is. */
  readonly target: string;
  /** The request's body, which was read before; empty for GET and HEAD. */
  readonly body: Buffer;
  readonly timeoutMillis: number;
}

export interface RelayOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
}

interface Pending {
  upstreamRequest: ClientRequest | undefined;
  readonly fail: (error: MsiProxyError) => void;
  readonly receive: (answer: IncomingMessage) => void;
}

// Never sent on. Forwarded headers are refused by the gate; these are for good measure, since IMDS rejects them too.
const NEVER_SENT = ['host', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'forwarded', 'via'];

/**
 * Sends requests to IMDS through `http-proxy`. The library has known faults (docs/adr/0002), so it only does what it
 * does right: it sees requests that passed the gate, gets our agent and a body of known length, and hands the answer to
 * us (`selfHandleResponse`) instead of piping it.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #proxy: httpProxy;
  readonly #pending = new WeakMap<IncomingMessage, Pending>();

  constructor(options: RelayOptions) {
    this.#options = options;
    const { upstream } = options;
    this.#proxy = httpProxy.createProxyServer({
      target: { protocol: 'http:', host: upstream.address.host, port: upstream.address.port },
      agent: upstream.agent,
      selfHandleResponse: true,
      xfwd: false,
      ws: false,
      // Sends `request.url` as it is; otherwise the library parses and re-assembles it.
      toProxy: true,
      prependPath: false,
    });
    this.#proxy.on('proxyReq', (upstreamRequest, request) => {
      const pending = this.#pending.get(request);
      if (pending !== undefined) pending.upstreamRequest = upstreamRequest;
    });
    this.#proxy.on('proxyRes', (answer, request) => this.#pending.get(request)?.receive(answer));
    // Errors reach the callback of each call; without a listener a stray one would end the process.
    this.#proxy.on('error', () => undefined);
    this.#proxy.on('econnreset', (error, request) =>
      this.#pending.get(request)?.fail(upstreamFailure(error)),
    );
  }

  /**
   * @throws {MsiProxyError} `MSI_UPSTREAM_FAILED`, `MSI_UPSTREAM_TIMEOUT` or `MSI_UPSTREAM_TOO_LARGE`
   */
  async send(relayed: RelayRequest): Promise<UpstreamAnswer> {
    const { upstream } = this.#options;
    this.#prepareHeaders(relayed.request);
    relayed.request.url = relayed.target;
    try {
      const answer = await this.#attempt(relayed).catch((error: unknown) => {
        // IMDS closed an idle connection at the moment when we used it again: nothing was answered, so it is safe to
        // repeat what does not change anything.
        if (!isStaleConnection(error) || relayed.request.method === 'POST') throw error;
        return this.#attempt(relayed);
      });
      upstream.answered();
      return answer;
    } catch (error) {
      if (!relayed.response.destroyed) upstream.failed(error);
      throw error;
    }
  }

  #attempt({ request, response, body, timeoutMillis }: RelayRequest): Promise<UpstreamAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
    const pending: Pending = {
      upstreamRequest: undefined,
      fail: reject,
      receive: answer => {
        readAnswer(answer, this.#options.maxResponseBytes).then(resolve, reject);
      },
    };
    const abort = (error: MsiProxyError) => {
      reject(error);
      pending.upstreamRequest?.destroy();
    };
    const clientLeft = () =>
      abort(new MsiProxyError('MSI_UPSTREAM_FAILED', 'the client left before the answer'));
    const timer = this.#options.clock.setTimer(
      () => abort(new MsiProxyError('MSI_UPSTREAM_TIMEOUT', `no whole answer within ${timeoutMillis} ms`)),
      timeoutMillis,
    );
    response.once('close', clientLeft);
    this.#pending.set(request, pending);
    this.#proxy.web(request, response, { buffer: Readable.from(body.length > 0 ? [body] : []) }, error => {
      const reused = pending.upstreamRequest?.reusedSocket === true;
      reject(upstreamFailure(error, reused));
    });
    return promise.finally(() => {
      timer.cancel();
      response.off('close', clientLeft);
    });
  }

  /** The library sends `request.headers`; it does not remove what belongs to the client's connection. */
  #prepareHeaders(request: IncomingMessage): void {
    const { headers } = request;
    for (const name of [...hopByHopNames(headers.connection), ...NEVER_SENT]) {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- headers are deleted by name
      delete headers[name];
    }
    headers.host = this.#options.upstream.hostHeader;
  }
}

/** Reads an answer to its end. One that breaks off is an error, never a shorter answer. */
async function readAnswer(answer: IncomingMessage, maxBytes: number): Promise<UpstreamAnswer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) {
        throw new MsiProxyError('MSI_UPSTREAM_TOO_LARGE', `the answer is larger than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    answer.destroy();
    throw error instanceof MsiProxyError ? error : upstreamFailure(error);
  }
  if (!answer.complete) throw new MsiProxyError('MSI_UPSTREAM_FAILED', 'the answer broke off');
  const dropped = new Set([...hopByHopNames(answer.headers.connection), 'content-length']);
  return {
    status: answer.statusCode ?? 502,
    statusText: answer.statusMessage ?? '',
    rawHeaders: withoutHeaders(answer.rawHeaders, dropped),
    contentType: answer.headers['content-type'],
    contentLength: answer.headers['content-length'],
    body: Buffer.concat(chunks),
  };
}

class UpstreamFailure extends MsiProxyError {
  readonly reusedSocket: boolean;

  constructor(cause: unknown, reusedSocket: boolean) {
    super('MSI_UPSTREAM_FAILED', `IMDS did not answer: ${messageOf(cause)}`, { cause });
    this.reusedSocket = reusedSocket;
  }
}

function upstreamFailure(cause: unknown, reusedSocket = false): UpstreamFailure {
  return new UpstreamFailure(cause, reusedSocket);
}

function isStaleConnection(error: unknown): boolean {
  return error instanceof UpstreamFailure && error.reusedSocket && codeOf(error.cause) === 'ECONNRESET';
}
