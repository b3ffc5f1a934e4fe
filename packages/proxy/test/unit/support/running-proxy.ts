import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import {
  createLogger,
  localCommandRunner,
  readSettings,
  type Caller,
  type Environment,
} from '@msi-proxy/shared';
import { PROXY_SETTINGS } from '../../../src/config.ts';
import { serve, type RunningProxy } from '../../../src/server/serve.ts';
import { FakeMonitor } from './fake-monitor.ts';

export interface ProxyUnderTest {
  readonly proxy: RunningProxy;
  readonly port: number;
  readonly socketPath: string;
  /** Lines of its log. */
  readonly log: Record<string, unknown>[];
  /** A monitor that has brought these callers. */
  join(...callers: Caller[]): Promise<FakeMonitor>;
  stop(): Promise<void>;
}

export interface ProxyUnderTestOptions {
  /** Port of the stand-in for IMDS, on loopback. */
  readonly imdsPort: number;
  readonly environment?: Environment;
}

/** The whole server as the program runs it, on loopback, without a route and as the user that runs the test. */
export async function startProxy({ imdsPort, environment }: ProxyUnderTestOptions): Promise<ProxyUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'msi-proxy-'));
  const socketPath = join(folder, 'control.sock');
  const log: Record<string, unknown>[] = [];
  const stream = new PassThrough();
  stream.on('data', (line: Buffer) => log.push(JSON.parse(line.toString()) as Record<string, unknown>));
  const variables = {
    MSI_PROXY_LISTEN: '127.0.0.1:0',
    MSI_PROXY_IMDS_ADDRESS: `127.0.0.1:${imdsPort}`,
    MSI_PROXY_ROUTE: 'off',
    MSI_PROXY_USER: 'root',
    MSI_PROXY_CONTROL_SOCKET: socketPath,
    MSI_PROXY_CALLER_WAIT_MS: '50',
    MSI_PROXY_HOLD_MS: '400',
    MSI_PROXY_DRAIN_MS: '1000',
    ...environment,
  };
  const proxy = await serve({
    processUsage: () => ({ residentBytes: 1, cpuMicros: 1 }),
    settings: readSettings(PROXY_SETTINGS, variables),
    logger: createLogger({ component: 'proxy', level: 'debug', stream }),
    runner: localCommandRunner,
    identity: {},
    platform: 'linux',
    version: '0.0.0',
  });
  const monitors: FakeMonitor[] = [];
  return {
    proxy,
    port: proxy.port,
    socketPath,
    log,
    async join(...callers) {
      const monitor = new FakeMonitor(socketPath);
      monitors.push(monitor);
      return await monitor.join(callers);
    },
    async stop() {
      for (const monitor of monitors) monitor.leave();
      await proxy.stop();
      await rm(folder, { recursive: true });
    },
  };
}
