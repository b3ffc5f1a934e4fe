import { get } from 'node:http';
import { EXIT_FAILURE, EXIT_OK, READY_PATH, type HostPort } from '@msi-proxy/shared';

const TIMEOUT_MILLIS = 1_500;

/** Asks the server in this container how it is. @returns the exit code */
export async function healthcheck({ host, port }: HostPort): Promise<number> {
  const reachable = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host;
  return await new Promise(resolve => {
    const request = get(
      { host: reachable, port, path: READY_PATH, timeout: TIMEOUT_MILLIS, agent: false },
      answer => {
        answer.resume();
        resolve(answer.statusCode === 200 ? EXIT_OK : EXIT_FAILURE);
      },
    );
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', () => resolve(EXIT_FAILURE));
  });
}
