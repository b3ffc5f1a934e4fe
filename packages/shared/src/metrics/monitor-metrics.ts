import type { MetricDefinition } from './definition.ts';
import { processMetrics } from './process-metrics.ts';

/** What the monitor measures itself, in the order of the page. */
export const MONITOR_METRICS = {
  clients: {
    name: 'msi_monitor_clients',
    type: 'gauge',
    help: 'Labelled containers that run, by the state of their wiring.',
    labels: { state: ['wired', 'pending', 'refused', 'failed'] },
  },
  clientsByMethod: {
    name: 'msi_monitor_wired_clients',
    type: 'gauge',
    help: 'Wired containers, by wiring method.',
    labels: { method: ['host', 'nat', 'attach', 'portproxy'] },
  },
  wiringDuration: {
    name: 'msi_monitor_wiring_duration_seconds',
    type: 'histogram',
    help: 'From the start of a container to its verified wiring.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  proxies: {
    name: 'msi_monitor_proxies',
    type: 'gauge',
    help: 'Proxies, by state.',
    labels: { state: ['serving', 'standby', 'starting', 'unhealthy'] },
  },
  proxyUp: { name: 'msi_monitor_proxy_up', type: 'gauge', help: '1 when a proxy serves.' },
  imdsFailing: {
    name: 'msi_monitor_imds_failing',
    type: 'gauge',
    help: '1 when the proxy that serves says that IMDS does not answer.',
  },
  engine: {
    name: 'msi_monitor_engine_state',
    type: 'gauge',
    help: '1 for the state of the connection to the Docker engine.',
    labels: { state: ['connected', 'connecting', 'unresponsive'] },
  },
  lastSync: {
    name: 'msi_monitor_last_sync_timestamp_seconds',
    type: 'gauge',
    help: 'When all containers were read last, in seconds since 1970; 0 for never.',
  },
  guard: {
    name: 'msi_monitor_guard_state',
    type: 'gauge',
    help: '1 for the state of the guard.',
    labels: { state: ['in-place', 'not-in-place', 'off', 'unavailable'] },
  },
  repairs: {
    name: 'msi_monitor_guard_repairs_total',
    type: 'counter',
    help: 'How often packet rules that somebody else had changed were mended.',
  },
  stoppedSources: {
    name: 'msi_monitor_guard_stopped_sources',
    type: 'gauge',
    help: 'Sources that the guard has stopped, or in audit mode would have, since the start; at most 256.',
  },
  ...processMetrics('msi_monitor'),
} as const satisfies Record<string, MetricDefinition>;
