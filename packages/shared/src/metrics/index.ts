export { seriesOf, type MetricDefinition } from './definition.ts';
export { MetricValues } from './metric-values.ts';
export { METRICS_CONTENT_TYPE, metricText, type MetricSource } from './metrics-text.ts';
export { DOCKER_ACTIONS, MONITOR_METRICS, type StandInOutcome } from './monitor-metrics.ts';
export { processMetrics, processNumbers, type ProcessState, type ProcessUsage } from './process-metrics.ts';
export { ProcessWatch } from './process-watch.ts';
export {
  PROXY_METRICS,
  readProxyMetrics,
  type ProxyMetricKey,
  type ProxyMetricNumbers,
} from './proxy-metrics.ts';
