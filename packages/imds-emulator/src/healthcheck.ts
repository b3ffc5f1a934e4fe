import { once } from 'node:events';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { HostPort } from '@msi-proxy/shared';

const TIMEOUT_MILLIS = 2_000;

/** Whether an emulator answers at this control address. An address that stands for all is asked at loopback. */
export async function isHealthy({ host, port }: HostPort): Promise<boolean> {
  const isAnyAddress = host === '0.0.0.0' || host === '::';
  const request = get({
    host: isAnyAddress ? '127.0.0.1' : host,
    port,
    path: '/healthz',
    agent: false,
    signal: AbortSignal.timeout(TIMEOUT_MILLIS),
  });
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode === 200;
  } catch {
    return false;
  }
}
