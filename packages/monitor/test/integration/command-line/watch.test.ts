import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { StatusServer } from '../../../src/status/index.ts';
import { startMonitorProcess } from '../../support/monitor-process.ts';
import { someStatus, statusServerOf } from '../../unit/status/support.ts';

const [client] = someStatus().clients;

describe('msi-monitor status --watch, as a process', () => {
  let server: StatusServer;
  let status = someStatus();
  let environment: NodeJS.ProcessEnv;

  before(async () => {
    server = statusServerOf({ status: () => status });
    const { port } = await server.start();
    environment = { MSI_MONITOR_LISTEN: `127.0.0.1:${port}` };
  });
  after(() => server.stop());

  const watch = () => startMonitorProcess(['status', '--watch'], environment);

  it('goes on, and ends with 0 at Ctrl-C', async () => {
    const { child, ended, untilLine } = watch();
    await untilLine(/client web: wired/);
    status = someStatus({ clients: [{ ...client!, state: 'refused', reason: 'mistyped' }] });
    await untilLine(/client web: wired → refused \(mistyped\)/);
    child.kill('SIGINT');
    assert.deepEqual(await ended, [0, null]);
  });

  it('ends when nobody reads it any more', async () => {
    const { child, ended } = watch();
    await once(child.stdout, 'data');
    child.stdout.destroy();
    status = someStatus({ clients: [] });
    assert.deepEqual(await ended, [0, null]);
  });
});
