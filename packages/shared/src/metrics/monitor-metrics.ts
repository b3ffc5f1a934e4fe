import type { ErrorCode } from '../errors/codes.ts';
import type { MetricDefinition } from './definition.ts';
import { processMetrics } from './process-metrics.ts';

/** Docker's events by the words of their kind and action: all that the monitor acts on. */
export const DOCKER_ACTIONS = [
  ...['create', 'start', 'die', 'stop', 'restart', 'destroy', 'pause', 'unpause', 'rename', 'update'].map(
    action => `container ${action}`,
  ),
  ...['create', 'connect', 'disconnect', 'destroy'].map(action => `network ${action}`),
  'other',
];

const FAILURES = [
  'MSI_CONTROL_PROTOCOL',
  'MSI_CONTROL_UNAVAILABLE',
  'MSI_ENGINE_UNREACHABLE',
  'MSI_ENGINE_FORBIDDEN',
  'MSI_ENGINE_TOO_OLD',
  'MSI_ENGINE_UNRESPONSIVE',
  'MSI_ENGINE_REQUEST',
  'MSI_WIRING_NO_CAPABILITY',
  'MSI_WIRING_COMMAND',
  'MSI_WIRING_NOT_EFFECTIVE',
  'MSI_WIRING_NOT_APPLICABLE',
  'MSI_WIRING_DUPLICATE_ADDRESS',
  'MSI_WIRING_SERVICE',
  'MSI_WIRING_PROXY_UNREACHABLE',
  'MSI_NAMESPACE_GONE',
  'MSI_LISTEN_FAILED',
  'MSI_INTERNAL',
] as const satisfies readonly ErrorCode[];

const STAND_IN_OUTCOMES = ['passed-on', 'given-up', 'client-left'] as const;
export type StandInOutcome = (typeof STAND_IN_OUTCOMES)[number];

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
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
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
  resyncInterval: {
    name: 'msi_monitor_resync_interval_seconds',
    type: 'gauge',
    help: 'How often they are read whatever happens: MSI_MONITOR_RESYNC_SECONDS.',
  },
  guard: {
    name: 'msi_monitor_guard_state',
    type: 'gauge',
    help: '1 for the state of the guard.',
    labels: { state: ['in-place', 'not-in-place', 'off', 'unavailable'] },
  },
  guardMode: {
    name: 'msi_monitor_guard_mode',
    type: 'gauge',
    help: '1 for what the guard is to do: MSI_MONITOR_GUARD. With audit it is in place and stops nobody.',
    labels: { mode: ['enforce', 'audit', 'off'] },
  },
  barrier: {
    name: 'msi_monitor_routing_barrier_state',
    type: 'gauge',
    help: '1 for the state of the second barrier, in the routing of the VM, which stops containers while the packet rules are gone; "off": none is wanted.',
    labels: { state: ['in-place', 'unavailable', 'off'] },
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
  standInHeld: {
    name: 'msi_monitor_stand_in_held_requests',
    type: 'gauge',
    help: 'Requests that are held because no proxy serves.',
  },
  standInRequests: {
    name: 'msi_monitor_stand_in_requests_total',
    type: 'counter',
    help: 'Requests that came to the monitor because no proxy served: passed on to a proxy, given up (the client was told to try again), or left by their client. Probes of SDKs are not counted.',
    labels: { outcome: STAND_IN_OUTCOMES },
  },
  queueDepth: {
    name: 'msi_monitor_reconcile_queue_depth',
    type: 'gauge',
    help: 'Containers that wait to be read (inspect) or wired (wire), those in work and those that failed and come again among them.',
    labels: { queue: ['inspect', 'wire'] },
  },
  dockerEvents: {
    name: 'msi_monitor_docker_events_total',
    type: 'counter',
    help: 'Events of the Docker engine that the monitor received.',
    labels: { action: DOCKER_ACTIONS },
  },
  eventStreamReconnects: {
    name: 'msi_monitor_event_stream_reconnects_total',
    type: 'counter',
    help: 'How often the stream of Docker’s events ended, or could not be opened, and was opened anew, by why.',
    labels: { reason: ['ended', 'unreachable', 'forbidden', 'too-old', 'unresponsive', 'request'] },
  },
  failures: {
    name: 'msi_monitor_failures_total',
    type: 'counter',
    help: 'Failures that the log tells as warning or error, by error code (docs/errors.md); "other" has none of these.',
    labels: { code: [...FAILURES, 'other'] },
  },
  ...processMetrics('msi_monitor'),
} as const satisfies Record<string, MetricDefinition>;
