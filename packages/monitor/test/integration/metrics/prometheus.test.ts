import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLogger, type MonitorStatus } from '@msi-proxy/shared';
import { Disposables } from '@msi-proxy/shared/testing';
import { MonitorMetrics } from '../../../src/metrics/monitor-metrics.ts';
import { createStatusServer } from '../../../src/status/index.ts';
import { someStatus } from '../../unit/status/support.ts';

const SHIPPED = new URL('../../../../../deploy/observability/', import.meta.url);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('Prometheus', function () {
  this.timeout(30_000);
  const disposables = new Disposables();
  afterEach(() => disposables.dispose());

  it('scrapes the monitor, and calls when no proxy serves', async function () {
    if (spawnSync('prometheus', ['--version']).error !== undefined) {
      console.log('    skipped: prometheus is not installed (Debian package prometheus)');
      this.skip();
    }
    let status: MonitorStatus = someStatus();
    const metrics = new MonitorMetrics();
    const server = createStatusServer({
      listen: { host: '127.0.0.1', port: 0 },
      logger: silentLogger,
      status: () => status,
      ready: () => ({ ready: true }),
      metrics: () =>
        metrics.page({
          status,
          imdsIsFailing: false,
          proxies: [],
          process: { residentBytes: 1, cpuMicros: 1 },
        }),
    });
    disposables.add(server);
    const { port } = await server.start();

    // As shipped, but faster.
    const folder = mkdtempSync(join(tmpdir(), 'msi-proxy-prometheus-'));
    const shipped = (name: string) => readFileSync(new URL(name, SHIPPED), 'utf8');
    const config = shipped('prometheus.yml')
      .replaceAll('15s', '1s')
      .replace('127.0.0.1:9180', `127.0.0.1:${port}`);
    writeFileSync(join(folder, 'prometheus.yml'), config);
    writeFileSync(join(folder, 'alerts.yml'), shipped('alerts.yml').replaceAll(/for: \w+/g, 'for: 0s'));
    const api = `127.0.0.1:${await freePort()}`;
    const prometheus = spawn(
      'prometheus',
      ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=${api}`],
      { cwd: folder, stdio: 'ignore' },
    );
    const ended = once(prometheus, 'exit');
    try {
      const untilAnswer = async (path: string, wanted: RegExp) => {
        for (;;) {
          const text = await fetch(`http://${api}${path}`).then(
            response => response.text(),
            () => '',
          );
          if (wanted.test(text)) return text;
          await delay(100);
        }
      };
      await untilAnswer('/api/v1/query?query=msi_monitor_proxy_up', /"value":\[[\d.]+,"1"\]/);
      assert.doesNotMatch(await untilAnswer('/api/v1/alerts', /success/), /MsiProxyDown/);
      status = someStatus({ proxies: [] });
      await untilAnswer('/api/v1/alerts', /"MsiProxyDown".*"firing"/);
    } finally {
      prometheus.kill();
      await ended;
      rmSync(folder, { recursive: true });
    }
  });
});
