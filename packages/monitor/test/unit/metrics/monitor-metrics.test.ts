import assert from 'node:assert/strict';
import type { MonitorStatus } from '@msi-proxy/shared';
import { MonitorMetrics } from '../../../src/metrics/monitor-metrics.ts';
import { someStatus } from '../status/support.ts';

/** Of a monitor that knows no more than its status. */
function pageOf(status: MonitorStatus): string {
  return new MonitorMetrics().page({
    status,
    imdsIsFailing: false,
    proxies: [],
    process: { residentBytes: 1, cpuMicros: 1, openFiles: 1, eventLoopLagMillis: 0 },
    heldRequests: 0,
    queueDepth: { inspect: 0, wire: 0 },
    resyncSeconds: 60,
  });
}

describe('MonitorMetrics', () => {
  it('shows the monitor and the proxies it hears from on one page', () => {
    const metrics = new MonitorMetrics();
    metrics.countWiring(70);
    metrics.countStandInRequest('given-up');
    metrics.countDockerEvent('container', 'start');
    metrics.countDockerEvent('container', 'exec_start: sh');
    metrics.countReconnect(new Error('the event stream ended'));
    metrics.countReconnect(Object.assign(new Error(), { code: 'MSI_ENGINE_TOO_OLD' }));
    metrics.countFailure(Object.assign(new Error(), { code: 'MSI_WIRING_COMMAND' }));
    metrics.countFailure(Object.assign(new Error(), { code: 'ECONNRESET' }));
    const page = metrics.page({
      status: someStatus(),
      imdsIsFailing: false,
      proxies: [
        { name: 'one', version: '1.2.3-rc.1', numbers: { tokens: [3], buildInfo: [1] } },
        { name: 'two', version: 'a"} 1\n', numbers: { tokens: [4], callers: [1], buildInfo: [1] } },
      ],
      process: { residentBytes: 5_000, cpuMicros: 1_500_000, openFiles: 21, eventLoopLagMillis: 30 },
      heldRequests: 2,
      queueDepth: { inspect: 1, wire: 3 },
      resyncSeconds: 60,
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
      'msi_monitor_stand_in_held_requests 2',
      'msi_monitor_stand_in_requests_total{outcome="given-up"} 1',
      'msi_monitor_stand_in_requests_total{outcome="passed-on"} 0',
      'msi_monitor_reconcile_queue_depth{queue="wire"} 3',
      'msi_monitor_docker_events_total{action="container start"} 1',
      'msi_monitor_docker_events_total{action="other"} 1',
      'msi_monitor_event_stream_reconnects_total{reason="ended"} 1',
      'msi_monitor_event_stream_reconnects_total{reason="too-old"} 1',
      'msi_monitor_failures_total{code="MSI_WIRING_COMMAND"} 1',
      'msi_monitor_failures_total{code="other"} 1',
      'msi_monitor_process_open_fds 21',
      'msi_monitor_process_event_loop_lag_seconds 0.03',
      'msi_monitor_build_info{version="0.1.0"} 1',
      'msi_proxy_build_info{proxy="one",version="1.2.3-rc.1"} 1',
      'msi_proxy_build_info{proxy="two",version="unknown"} 1',
    ])
      assert.ok(lines.has(line), line);
    assert.equal(page.match(/# TYPE msi_proxy_cached_tokens gauge/g)?.length, 1);
  });

  it('shows that a guard which is in place only audits', () => {
    const { guard } = someStatus();
    const page = pageOf(someStatus({ guard: { ...guard, mode: 'audit' } }));
    for (const line of [
      'msi_monitor_guard_state{state="in-place"} 1',
      'msi_monitor_guard_mode{mode="enforce"} 0',
      'msi_monitor_guard_mode{mode="audit"} 1',
      'msi_monitor_routing_barrier_state{state="off"} 1',
    ])
      assert.ok(page.split('\n').includes(line), line);
  });

  it('shows that there is no barrier in the routing', () => {
    const { guard } = someStatus();
    const page = pageOf(someStatus({ guard: { ...guard, barrier: { state: 'unavailable' } } }));
    for (const line of [
      'msi_monitor_guard_mode{mode="enforce"} 1',
      'msi_monitor_routing_barrier_state{state="in-place"} 0',
      'msi_monitor_routing_barrier_state{state="unavailable"} 1',
    ])
      assert.ok(page.split('\n').includes(line), line);
  });

  it('tells nothing about single containers', () => {
    const page = pageOf(someStatus());
    assert.doesNotMatch(page, /web|172\.17|c1c1c1/);
  });
});
