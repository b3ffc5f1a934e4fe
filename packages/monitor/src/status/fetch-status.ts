import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { messageOf, MsiProxyError, type HostPort, type MonitorStatus } from '@msi-proxy/shared';
import { STATUS_PATH } from './status-server.ts';

const TIMEOUT_MILLIS = 5_000;

/** Listening on all addresses means that it can be asked on the loopback. */
const ASKED_INSTEAD: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/**
 * Asks the monitor that listens there.
 *
 * @param timeoutMillis 5 seconds when left out
 * @throws {MsiProxyError} `MSI_STATUS_UNAVAILABLE`
 */
export async function fetchStatus(
  { host, port }: HostPort,
  timeoutMillis = TIMEOUT_MILLIS,
): Promise<MonitorStatus> {
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  try {
    return JSON.parse(await request(ASKED_INSTEAD[host] ?? host, port, timeoutMillis)) as MonitorStatus;
  } catch (cause) {
    throw new MsiProxyError(
      'MSI_STATUS_UNAVAILABLE',
      `No monitor answers at ${where} (MSI_MONITOR_LISTEN): ${messageOf(cause)}`,
      { cause },
    );
  }
}

async function request(host: string, port: number, timeoutMillis: number): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMillis);
  return await new Promise((resolve, reject) => {
    // By whatever name it is found: the monitor answers nobody who asks by one.
    const headers = { Host: 'localhost' };
    get({ host, port, path: STATUS_PATH, headers, agent: false, signal }, response => {
      if (response.statusCode === 200) text(response).then(resolve, reject);
      else {
        response.resume();
        reject(new Error(`it answers with status ${response.statusCode ?? 0}`));
      }
    }).on('error', reject);
  });
}
