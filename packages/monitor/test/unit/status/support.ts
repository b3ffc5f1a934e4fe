import { silentLogger, type MonitorStatus } from '@msi-proxy/shared';
import {
  createStatusServer,
  type StatusServer,
  type StatusServerOptions,
} from '../../../src/status/status-server.ts';

/** On any port, unless it is told otherwise. */
export function statusServerOf(options: Partial<StatusServerOptions> = {}): StatusServer {
  return createStatusServer({
    metrics: () => '',
    listen: { host: '127.0.0.1', port: 0 },
    logger: silentLogger,
    status: () => someStatus(),
    ready: () => ({ ready: true }),
    ...options,
  });
}

export const CLIENT_ID = 'c1'.repeat(32);
export const PROXY_ID = 'a0'.repeat(32);

/** The status of a monitor with one proxy and one client. */
export function someStatus(changes: Partial<MonitorStatus> = {}): MonitorStatus {
  return {
    version: '0.1.0',
    startedAt: '2026-01-01T00:00:00.000Z',
    engine: {
      state: 'connected',
      since: '2026-01-01T00:00:00.000Z',
      version: '20.10.24',
      apiVersion: '1.41',
    },
    guard: { mode: 'enforce', state: 'in-place', repairs: 0, stopped: [] },
    proxies: [
      {
        containerId: PROXY_ID,
        name: 'proxy',
        state: 'serving',
        since: '2026-01-01T00:00:01.000Z',
        address: '172.31.250.2',
      },
    ],
    clients: [
      {
        containerId: CLIENT_ID,
        name: 'web',
        image: 'web:1',
        startedAt: '2026-01-01T00:00:02.000Z',
        state: 'wired',
        since: '2026-01-01T00:00:02.000Z',
        method: 'host',
        addresses: ['172.17.0.2'],
        policy: { identity: 'system', identities: ['system'], resources: ['*'], endpoints: ['token'] },
      },
    ],
    events: [],
    ...changes,
  };
}
