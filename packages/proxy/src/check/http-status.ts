import { get } from 'node:http';
import { codeOf, messageOf, type HostPort } from '@msi-proxy/shared';

const TIMEOUT_MILLIS = 3_000;

/** Asks as a client of IMDS does. @throws {Error} saying why there is no answer */
export async function httpStatusOf({ host, port }: HostPort, path: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MILLIS);
    get({ host, port, path, agent: false, headers: { Metadata: 'true' }, signal }, response => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    }).on('error', error => {
      const why = signal.aborted ? `within ${TIMEOUT_MILLIS} ms` : `(${codeOf(error) ?? messageOf(error)})`;
      reject(new Error(`${host}:${port} does not answer ${why}`));
    });
  });
}
