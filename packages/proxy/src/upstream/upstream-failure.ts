import { codeOf, messageOf, MsiProxyError } from '@msi-proxy/shared';

/** IMDS did not answer, or not to the end. */
class UpstreamFailure extends MsiProxyError {
  readonly onReusedSocket: boolean;

  constructor(cause: unknown, onReusedSocket: boolean) {
    super('MSI_UPSTREAM_FAILED', `IMDS did not answer: ${messageOf(cause)}`, { cause });
    this.onReusedSocket = onReusedSocket;
  }
}

/** @param onReusedSocket whether the connection had carried another request before */
export function upstreamFailure(cause: unknown, onReusedSocket = false): MsiProxyError {
  return new UpstreamFailure(cause, onReusedSocket);
}

export function upstreamTimeout(what: string, millis: number): MsiProxyError {
  return new MsiProxyError('MSI_UPSTREAM_TIMEOUT', `${what} within ${millis} ms`);
}

export function clientLeft(): MsiProxyError {
  return new MsiProxyError('MSI_CLIENT_LEFT', 'the client left before the answer');
}

/** IMDS closed an idle connection at the moment when it was used again: the request was not looked at. */
export function isStaleConnection(error: unknown): boolean {
  if (!(error instanceof UpstreamFailure) || !error.onReusedSocket) return false;
  return ['ECONNRESET', 'EPIPE'].includes(codeOf(error.cause) ?? '');
}
