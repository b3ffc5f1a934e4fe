import { codeOf, messageOf, MsiProxyError } from '@msi-proxy/shared';

/** The HTTP status of an error that dockerode threw. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

/** An error of dockerode or of the socket, as one of ours. */
export function engineError(error: unknown, host: string): MsiProxyError {
  if (error instanceof MsiProxyError) return error;
  const status = statusOf(error);
  if (status !== undefined) {
    const text = `The Docker engine answered ${status}: ${messageOf(error)}`;
    return new MsiProxyError('MSI_ENGINE_REQUEST', text, { cause: error, details: { status } });
  }
  switch (codeOf(error) ?? '') {
    case 'EACCES':
    case 'EPERM':
      return new MsiProxyError(
        'MSI_ENGINE_FORBIDDEN',
        `The monitor may not use DOCKER_HOST "${host}": run it as root or in the group that owns the socket`,
        { cause: error },
      );
    case 'ENOENT':
      return new MsiProxyError(
        'MSI_ENGINE_UNREACHABLE',
        `DOCKER_HOST is "${host}", but there is no such socket: expected the socket of a running Docker engine, in a mounted folder`,
        { cause: error },
      );
    default:
      return new MsiProxyError(
        'MSI_ENGINE_UNREACHABLE',
        `No Docker engine answers at DOCKER_HOST "${host}": ${messageOf(error)}`,
        { cause: error },
      );
  }
}

export function engineUnresponsive(host: string, call: string, timeoutMillis: number): MsiProxyError {
  return new MsiProxyError(
    'MSI_ENGINE_UNRESPONSIVE',
    `The Docker engine at "${host}" did not answer "${call}" within ${timeoutMillis} ms`,
  );
}
