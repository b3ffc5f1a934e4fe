import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { metricText, MONITOR_METRICS, PROXY_METRICS, type MetricDefinition } from '@msi-proxy/shared/metrics';

const FOLDER = fileURLToPath(new URL('../../../deploy/observability/', import.meta.url));
const METRICS: readonly MetricDefinition[] = [
  ...Object.values(MONITOR_METRICS),
  ...Object.values(PROXY_METRICS),
];

const read = (name: string) => readFileSync(`${FOLDER}${name}`, 'utf8');

function knownSeries(): Set<string> {
  return new Set(
    METRICS.flatMap(({ name, type }) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map(suffix => `${name}${suffix}`) : [name],
    ),
  );
}

describe('deploy/observability', () => {
  for (const file of ['alerts.yml', 'alerts.test.yml', 'dashboard.json']) {
    it(`names in ${file} only metrics that there are`, () => {
      const known = knownSeries();
      const named = read(file).match(/\bmsi_(?:proxy|monitor)_\w+/g) ?? [];
      assert.notEqual(named.length, 0);
      assert.deepEqual(
        named.filter(name => !known.has(name)),
        [],
      );
    });
  }

  it('leaves the data source of the dashboard to whoever imports it', () => {
    const dashboard = JSON.parse(read('dashboard.json')) as {
      schemaVersion: number;
      panels: { id: number; datasource: { uid: string }; targets: { expr: string }[] }[];
    };
    assert.ok(dashboard.schemaVersion >= 36);
    assert.ok(dashboard.panels.every(({ datasource }) => datasource.uid === '${datasource}'));
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
  });
});

describe('Prometheus', () => {
  const promtool = (args: readonly string[], input = '') =>
    spawnSync('promtool', args, { cwd: FOLDER, input, encoding: 'utf8' });

  before(function () {
    if (promtool(['--version']).error === undefined) return;
    console.log('    skipped: promtool is not installed (Debian package prometheus)');
    this.skip();
  });

  const CHECKS = [
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', 'alerts.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ] as const;
  for (const args of CHECKS) {
    it(`accepts what is shipped: promtool ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = promtool(args);
      assert.equal(status, 0, `${stdout}${stderr}`);
    });
  }

  it('has nothing to say about names and texts of the metrics', () => {
    const page = METRICS.map(metric =>
      metricText(metric, [{ labels: { proxy: 'a"\\\n' }, numbers: [] }]),
    ).join('');
    const { status, stdout, stderr } = promtool(['check', 'metrics'], page);
    assert.deepEqual({ status, said: `${stdout}${stderr}` }, { status: 0, said: '' });
  });
});
