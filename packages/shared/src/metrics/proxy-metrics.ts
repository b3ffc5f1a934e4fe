import type { ErrorCode } from '../errors/codes.ts';
import { ENDPOINT_GROUPS } from '../policy/endpoints.ts';
import { lengthOf, type MetricDefinition } from './definition.ts';
import { processMetrics } from './process-metrics.ts';

const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const UPSTREAM_FAILURES = [
  'MSI_UPSTREAM_FAILED',
  'MSI_UPSTREAM_TIMEOUT',
  'MSI_UPSTREAM_TOO_LARGE',
  'MSI_UPSTREAM_UNUSABLE',
  'MSI_UPSTREAM_WRONG_IDENTITY',
] as const satisfies readonly ErrorCode[];

/** What a proxy counts, in the order of the page. It goes to the monitor as numbers by key. */
export const PROXY_METRICS = {
  requests: {
    name: 'msi_proxy_requests_total',
    type: 'counter',
    help: 'Requests, by endpoint group ("none": refused before it was known) and outcome. Probes of SDKs are not counted.',
    labels: {
      group: ['none', 'versions', ...ENDPOINT_GROUPS],
      outcome: ['allowed', 'would-deny', 'denied', 'throttled', 'failed'],
    },
  },
  failures: {
    name: 'msi_proxy_failed_requests_total',
    type: 'counter',
    help: 'Requests that failed or were throttled, by why: an error code (docs/errors.md) or the reason in the audit line.',
    labels: {
      reason: [
        ...UPSTREAM_FAILURES,
        'budget',
        'no-imds',
        'caller-unconfirmed',
        'caller-gone',
        'policy-changed',
        'client-left',
        'other',
      ],
    },
  },
  requestDuration: {
    name: 'msi_proxy_request_duration_seconds',
    type: 'histogram',
    help: 'Time to the answer of requests that were allowed, by where the answer came from.',
    labels: { via: ['cache', 'shared', 'upstream'] },
    buckets: DURATION_BUCKETS,
  },
  upstreamRequests: {
    name: 'msi_proxy_upstream_requests_total',
    type: 'counter',
    help: 'Requests to IMDS, each try by itself, by class of the answer ("none": it did not answer).',
    labels: { status: ['1xx', '2xx', '3xx', '4xx', '429', '5xx', 'none'] },
  },
  upstreamDuration: {
    name: 'msi_proxy_upstream_duration_seconds',
    type: 'histogram',
    help: 'Time to the answer of IMDS, or to giving up.',
    buckets: DURATION_BUCKETS,
  },
  budgetWaiting: {
    name: 'msi_proxy_budget_waiting_requests',
    type: 'gauge',
    help: 'Requests to IMDS that wait for their turn in the budget of the VM.',
  },
  tokens: { name: 'msi_proxy_cached_tokens', type: 'gauge', help: 'Tokens that are kept and valid.' },
  tokensFailing: {
    name: 'msi_proxy_cached_tokens_failing_refresh',
    type: 'gauge',
    help: 'Tokens that are kept and valid, and whose last refresh failed.',
  },
  tokensExpiring: {
    name: 'msi_proxy_cached_tokens_failing_refresh_near_expiry',
    type: 'gauge',
    help: 'Of those, the ones that are valid for less than ten minutes.',
  },
  callers: {
    name: 'msi_proxy_known_callers',
    type: 'gauge',
    help: 'Addresses of containers that the proxy knows.',
  },
  monitorSession: {
    name: 'msi_proxy_monitor_session',
    type: 'gauge',
    help: '1 for the state of the control session with the monitor. It is told over that session: where there is none, the metrics of the proxy are missing.',
    labels: { state: ['none', 'silent', 'live'] },
  },
  policyMode: {
    name: 'msi_proxy_policy_mode',
    type: 'gauge',
    help: '1 for what the policies of clients do: MSI_PROXY_POLICY.',
    labels: { mode: ['enforce', 'audit'] },
  },
  ...processMetrics('msi_proxy'),
} as const satisfies Record<string, MetricDefinition>;

export type ProxyMetricKey = keyof typeof PROXY_METRICS;
export type ProxyMetricNumbers = Readonly<Partial<Record<ProxyMetricKey, readonly number[]>>>;

/** Takes from a message what is in the table and of its form; a proxy of another version may know other metrics. */
export function readProxyMetrics(values: unknown): ProxyMetricNumbers {
  if (typeof values !== 'object' || values === null) return {};
  const numbers: Partial<Record<ProxyMetricKey, readonly number[]>> = {};
  for (const key of Object.keys(PROXY_METRICS) as ProxyMetricKey[]) {
    const value: unknown = Object.hasOwn(values, key) ? (values as Record<string, unknown>)[key] : undefined;
    if (isNumbers(value) && value.length === lengthOf(PROXY_METRICS[key])) numbers[key] = value;
  }
  return numbers;
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(each => Number.isFinite(each) && each >= 0);
}
