import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fetchStatus } from '../../../src/status/index.ts';
import { startMonitorProcess } from '../../support/monitor-process.ts';

describe('msi-monitor run, as a process', () => {
  it('stays without an engine and without its port, and serves when the port is free', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const { child, ended, untilLine } = startMonitorProcess(['run'], {
      DOCKER_HOST: 'unix:///nowhere/docker.sock',
      MSI_MONITOR_LISTEN: `127.0.0.1:${port}`,
      // So that it leaves the packet rules of this machine alone.
      MSI_MONITOR_CONTAINER_OS: 'windows',
    });
    try {
      await untilLine(/The status is not served; it is tried again/);
      holder.close();
      await untilLine(/Status is served/);
      assert.equal((await fetchStatus({ host: '127.0.0.1', port })).guard.state, 'unavailable');
      child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null]);
    } finally {
      child.kill('SIGKILL');
      holder.close();
      await ended;
    }
  });

  it('ends when it finds another one that was started at the same moment', async () => {
    // A port that nobody has, so that each finds nobody there at first.
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    holder.close();
    await once(holder, 'close');
    const monitors = [0, 1].map(() =>
      startMonitorProcess(['run'], {
        DOCKER_HOST: 'unix:///nowhere/docker.sock',
        MSI_MONITOR_LISTEN: `127.0.0.1:${port}`,
        MSI_MONITOR_CONTAINER_OS: 'windows',
      }),
    );
    try {
      assert.deepEqual(await Promise.race(monitors.map(({ ended }) => ended)), [1, null]);
      const remaining = monitors.filter(({ child }) => child.exitCode === null);
      assert.equal(remaining.length, 1);
      assert.equal((await fetchStatus({ host: '127.0.0.1', port })).guard.state, 'unavailable');
      remaining[0]!.child.kill('SIGTERM');
      assert.deepEqual(await remaining[0]!.ended, [0, null]);
    } finally {
      for (const { child } of monitors) child.kill('SIGKILL');
      await Promise.all(monitors.map(({ ended }) => ended));
    }
  });
});
