import { get } from 'node:http';
import { EXIT_FAILURE, EXIT_OK, READY_PATH, type HostPort } from '@msi-proxy/shared';

const TIMEOUT_MILLIS = 1_500;

/** Asks the server in this container how it is. @returns the exit code */
export async function healthcheck(listen: HostPort): Promise<number> {
  const { host, port } = reachableAt(listen);
  return await new Promise(resolve => {
    const request = get({ host, port, path: READY_PATH, timeout: TIMEOUT_MILLIS, agent: false }, answer => {
      answer.resume();
      resolve(answer.statusCode === 200 ? EXIT_OK : EXIT_FAILURE);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', () => resolve(EXIT_FAILURE));
  });
}

/** Where to ask a server that listens there: what stands for all addresses is asked on the loopback. */
export function reachableAt({ host, port }: HostPort): HostPort {
  return { host: ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host, port };
}
