export { seriesOf, type MetricDefinition } from './definition.ts';
export { MetricValues } from './metric-values.ts';
export { METRICS_CONTENT_TYPE, metricText, type MetricSource } from './metrics-text.ts';
export { MONITOR_METRICS } from './monitor-metrics.ts';
export { processMetrics, processNumbers, type ProcessUsage } from './process-metrics.ts';
export {
  PROXY_METRICS,
  readProxyMetrics,
  type ProxyMetricKey,
  type ProxyMetricNumbers,
} from './proxy-metrics.ts';
