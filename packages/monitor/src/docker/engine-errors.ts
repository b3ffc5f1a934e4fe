import { codeOf, messageOf, MsiProxyError } from '@msi-proxy/shared';
import { parseDockerHost } from './docker-host.ts';
import { recordOf, stringOf } from './reading.ts';

const MAX_MESSAGE_LENGTH = 500;

/** The HTTP status of an error that dockerode threw. */
export function statusOf(error: unknown): number | undefined {
  const { statusCode } = recordOf(error);
  return typeof statusCode === 'number' ? statusCode : undefined;
}

/** An error of dockerode or of the socket, as one of ours. */
export function engineError(error: unknown, call: string, host: string): MsiProxyError {
  if (error instanceof MsiProxyError) return error;
  const status = statusOf(error);
  if (status !== undefined) {
    const text = `The Docker engine answered "${call}" with ${status}: ${engineMessage(error)}`;
    return new MsiProxyError('MSI_ENGINE_REQUEST', text, { cause: error, details: { status } });
  }
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM') {
    return new MsiProxyError(
      'MSI_ENGINE_FORBIDDEN',
      `DOCKER_HOST is "${host}", but the monitor may not open ${place(host)}: ` +
        `expected to run as ${isPipe(host) ? 'an administrator or LocalSystem' : 'root or as a member of the group that owns it'}`,
      { cause: error },
    );
  }
  return new MsiProxyError('MSI_ENGINE_UNREACHABLE', unreachableText(error, code, host), { cause: error });
}

export function engineUnresponsive(host: string, call: string, timeoutMillis: number): MsiProxyError {
  return new MsiProxyError(
    'MSI_ENGINE_UNRESPONSIVE',
    `The Docker engine at "${host}" did not answer "${call}" within ${timeoutMillis} ms`,
  );
}

function unreachableText(error: unknown, code: string | undefined, host: string): string {
  switch (code) {
    case 'ENOENT':
      return (
        `DOCKER_HOST is "${host}", but ${place(host)} does not exist: ` +
        (isPipe(host)
          ? 'expected the pipe of a running Docker engine, mounted if the monitor runs in a container'
          : 'expected the socket of a running Docker engine, its folder mounted if the monitor runs in a container')
      );
    case 'ECONNREFUSED':
      return `DOCKER_HOST is "${host}", but nothing listens at ${place(host)}: expected a running Docker engine`;
    case undefined:
    default:
      return `The Docker engine at DOCKER_HOST "${host}" broke off: ${messageOf(error)}`;
  }
}

function isPipe(dockerHost: string): boolean {
  return dockerHost.startsWith('npipe:');
}

function place(dockerHost: string): string {
  const address = parseDockerHost(dockerHost);
  if (address === undefined) return dockerHost;
  return address.kind === 'socket' ? address.path : `${address.host}:${address.port}`;
}

// dockerode's own message has the status and a guess at the reason before the engine's words.
function engineMessage(error: unknown): string {
  const text = stringOf(recordOf(recordOf(error)['json'])['message']) || messageOf(error);
  return text.length > MAX_MESSAGE_LENGTH ? `${text.slice(0, MAX_MESSAGE_LENGTH)}…` : text;
}
