import assert from 'node:assert/strict';
import { MonitorMetrics } from '../../../src/metrics/monitor-metrics.ts';
import { someStatus } from '../status/support.ts';

describe('MonitorMetrics', () => {
  it('shows the monitor and the proxies it hears from on one page', () => {
    const metrics = new MonitorMetrics();
    metrics.countWiring(70);
    const page = metrics.page({
      status: someStatus(),
      imdsIsFailing: false,
      proxies: [
        { name: 'one', numbers: { tokens: [3] } },
        { name: 'two', numbers: { tokens: [4], callers: [1] } },
      ],
      process: { residentBytes: 5_000, cpuMicros: 1_500_000 },
    });
    const lines = new Set(page.split('\n'));
    for (const line of [
      'msi_monitor_clients{state="wired"} 1',
      'msi_monitor_wired_clients{method="host"} 1',
      'msi_monitor_wiring_duration_seconds_bucket{le="0.1"} 1',
      'msi_monitor_proxy_up 1',
      'msi_monitor_guard_state{state="in-place"} 1',
      'msi_monitor_process_cpu_seconds_total 1.5',
      'msi_proxy_cached_tokens{proxy="one"} 3',
      'msi_proxy_cached_tokens{proxy="two"} 4',
      'msi_proxy_known_callers{proxy="two"} 1',
    ])
      assert.ok(lines.has(line), line);
    assert.equal(page.match(/# TYPE msi_proxy_cached_tokens gauge/g)?.length, 1);
  });

  it('tells nothing about single containers', () => {
    const page = new MonitorMetrics().page({
      status: someStatus(),
      imdsIsFailing: false,
      proxies: [],
      process: { residentBytes: 1, cpuMicros: 1 },
    });
    assert.doesNotMatch(page, /web|172\.17|c1c1c1/);
  });
});
