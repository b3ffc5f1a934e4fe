import { get } from 'node:http';
import { EXIT_FAILURE, EXIT_OK, READY_PATH } from '@msi-proxy/shared';

const TIMEOUT_MILLIS = 1_500;

/** Asks the server in this container how it is. @returns the exit code */
export async function healthcheck(port: number): Promise<number> {
  return await new Promise(resolve => {
    const request = get(
      { host: '127.0.0.1', port, path: READY_PATH, timeout: TIMEOUT_MILLIS, agent: false },
      answer => {
        answer.resume();
        resolve(answer.statusCode === 200 ? EXIT_OK : EXIT_FAILURE);
      },
    );
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', () => resolve(EXIT_FAILURE));
  });
}
