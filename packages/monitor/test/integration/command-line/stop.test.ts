import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFullPipe } from '@msi-proxy/shared/testing';
import { fetchStatus } from '../../../src/status/index.ts';
import { MONITOR_ARGV } from '../../support/monitor-process.ts';
import { until } from '../../support/until.ts';

describe('msi-monitor run, as a process whose log nobody reads', () => {
  it('serves, and ends when it is stopped', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'msi-monitor-'));
    const pipe = openFullPipe(join(folder, 'log'));
    const port = await freePort();
    const [node, ...options] = MONITOR_ARGV;
    const child = spawn(node, [...options, 'run'], {
      env: {
        ...process.env,
        DOCKER_HOST: `unix://${folder}/docker.sock`,
        MSI_MONITOR_LISTEN: `127.0.0.1:${port}`,
        // So that it leaves the packet rules of this machine alone.
        MSI_MONITOR_CONTAINER_OS: 'windows',
      },
      stdio: ['ignore', pipe, 'inherit'],
    });
    const ended = once(child, 'exit');
    try {
      const isServed = () =>
        fetchStatus({ host: '127.0.0.1', port }).then(
          () => true,
          () => false,
        );
      await until('it serves', async () => child.exitCode !== null || (await isServed()), {
        patienceMillis: 15_000,
      });
      child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null]);
    } finally {
      child.kill('SIGKILL');
      await ended;
      closeSync(pipe);
      rmSync(folder, { recursive: true });
    }
  });
});

async function freePort(): Promise<number> {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  holder.close();
  await once(holder, 'close');
  return port;
}
