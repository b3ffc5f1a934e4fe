import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { silentLogger } from '@msi-proxy/shared';
import { createStatusServer, type StatusServer } from '../../../src/status/index.ts';
import { someStatus } from '../../unit/status/support.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const [client] = someStatus().clients;

describe('msi-monitor status --watch, as a process', () => {
  let server: StatusServer;
  let status = someStatus();
  let environment: NodeJS.ProcessEnv;

  before(async () => {
    server = createStatusServer({
      metrics: () => '',
      listen: { host: '127.0.0.1', port: 0 },
      logger: silentLogger,
      status: () => status,
      ready: () => ({ ready: true }),
    });
    const { port } = await server.start();
    environment = { ...process.env, MSI_MONITOR_LISTEN: `127.0.0.1:${port}` };
  });
  after(() => server.stop());

  function watch() {
    const child = spawn(process.execPath, ['--conditions=@msi-proxy/source', MAIN, 'status', '--watch'], {
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const untilLine = async (wanted: RegExp) => {
      for (;;) {
        const { done, value } = await lines.next();
        assert.notEqual(done, true, `it ended before ${String(wanted)}`);
        if (wanted.test(String(value))) return;
      }
    };
    return { child, ended: once(child, 'exit'), untilLine };
  }

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
