import assert from 'node:assert/strict';
import { metricText, PROXY_METRICS, readProxyMetrics } from '@msi-proxy/shared/metrics';
import { ProxyMetrics, type ProxyGauges } from '../../../src/metrics/proxy-metrics.ts';

const GAUGES: ProxyGauges = {
  budgetWaiting: 2,
  callers: 5,
  monitor: 'live',
  policy: 'enforce',
  tokens: { valid: 3, failing: 1, failingNearExpiry: 0 },
  process: { residentBytes: 1_000, cpuMicros: 2_000_000, openFiles: 12, eventLoopLagMillis: 0 },
};

describe('ProxyMetrics', () => {
  it('counts requests by group and outcome, and times those that were answered', () => {
    const metrics = new ProxyMetrics(0);
    const address = '172.17.0.2';
    metrics.countRequest({ address, group: 'token', verdict: 'allowed', via: 'cache', durationMillis: 2 });
    metrics.countRequest({ address, group: 'none', verdict: 'denied', reason: 'path', durationMillis: 0 });
    metrics.countRequest({ address, group: 'token', verdict: 'failed', reason: 'budget', durationMillis: 9 });
    metrics.countRequest({
      address,
      group: 'token',
      verdict: 'failed',
      reason: 'MSI_UPSTREAM_TIMEOUT',
      durationMillis: 9,
    });
    metrics.countRequest({ address, group: 'token', verdict: 'failed', reason: 'new', durationMillis: 9 });
    const { requests = [], requestDuration = [], failures = [] } = metrics.read(GAUGES);
    const counts = metricText(PROXY_METRICS.requests, [{ numbers: requests }]);
    assert.match(counts, /\{group="token",outcome="allowed"\} 1\n/);
    assert.match(counts, /\{group="none",outcome="denied"\} 1\n/);
    assert.match(counts, /\{group="token",outcome="throttled"\} 1\n/);
    const failed = metricText(PROXY_METRICS.failures, [{ numbers: failures }]);
    for (const reason of ['budget', 'MSI_UPSTREAM_TIMEOUT', 'other']) {
      assert.match(failed, new RegExp(`\\{reason="${reason}"\\} 1\n`));
    }
    assert.match(failed, /\{reason="client-left"\} 0\n/);
    const times = metricText(PROXY_METRICS.requestDuration, [{ numbers: requestDuration }]);
    assert.match(times, /_bucket\{via="cache",le="0.001"\} 0\n.*_bucket\{via="cache",le="0.0025"\} 1\n/);
    assert.match(times, /_count\{via="upstream"\} 0\n/);
  });

  it('classes what IMDS answers', () => {
    const metrics = new ProxyMetrics(0);
    for (const status of [200, 404, 429, 503, undefined]) metrics.countUpstream(status, 10);
    assert.deepEqual(metrics.read(GAUGES).upstreamRequests, [0, 1, 0, 1, 1, 1, 1]);
  });

  it('shows whether policies are enforced', () => {
    const { policyMode = [] } = new ProxyMetrics(0).read({ ...GAUGES, policy: 'audit' });
    const text = metricText(PROXY_METRICS.policyMode, [{ numbers: policyMode }]);
    assert.match(
      text,
      /^msi_proxy_policy_mode\{mode="enforce"\} 0\nmsi_proxy_policy_mode\{mode="audit"\} 1$/m,
    );
  });

  it('is taken by the monitor as it is sent', () => {
    const numbers = new ProxyMetrics(0).read(GAUGES);
    assert.deepEqual(readProxyMetrics(JSON.parse(JSON.stringify(numbers))), numbers);
  });
});
