import type { MonitorStatus } from '@msi-proxy/shared';
import {
  METRICS_CONTENT_TYPE,
  metricText,
  MetricValues,
  MONITOR_METRICS,
  processNumbers,
  PROXY_METRICS,
  type MetricSource,
  type ProcessUsage,
  type ProxyMetricKey,
  type ProxyMetricNumbers,
} from '@msi-proxy/shared/metrics';

export { METRICS_CONTENT_TYPE };

/** The last that a proxy measured. */
export interface MeasuredProxy {
  readonly name: string;
  readonly numbers: ProxyMetricNumbers;
}

export interface MetricsPageOptions {
  readonly status: MonitorStatus;
  readonly imdsIsFailing: boolean;
  readonly proxies: readonly MeasuredProxy[];
  readonly process: ProcessUsage;
}

/** What one scrape of the monitor shows: the monitor and the proxies it has sessions with. */
export class MonitorMetrics {
  readonly #wiringDuration = new MetricValues(MONITOR_METRICS.wiringDuration);

  countWiring(durationMillis: number): void {
    this.#wiringDuration.observe(0, durationMillis / 1_000);
  }

  page(options: MetricsPageOptions): string {
    const own = { ...this.#read(options), wiringDuration: this.#wiringDuration.numbers() };
    const monitor = (Object.keys(MONITOR_METRICS) as (keyof typeof MONITOR_METRICS)[]).map(key =>
      metricText(MONITOR_METRICS[key], [{ numbers: own[key] }]),
    );
    const proxies = (Object.keys(PROXY_METRICS) as ProxyMetricKey[]).map(key =>
      metricText(PROXY_METRICS[key], sourcesOf(key, options.proxies)),
    );
    return [...monitor, ...proxies].join('');
  }

  #read({ status, imdsIsFailing, process }: MetricsPageOptions) {
    const { clients, proxies, engine, guard, startedAt } = status;
    const wired = clients.filter(({ state }) => state === 'wired');
    return {
      clients: countEach(
        MONITOR_METRICS.clients.labels.state,
        clients.map(({ state }) => state),
      ),
      clientsByMethod: countEach(
        MONITOR_METRICS.clientsByMethod.labels.method,
        wired.flatMap(({ method }) => method ?? []),
      ),
      proxies: countEach(
        MONITOR_METRICS.proxies.labels.state,
        proxies.map(({ state }) => state),
      ),
      proxyUp: [proxies.some(({ state }) => state === 'serving') ? 1 : 0],
      imdsFailing: [imdsIsFailing ? 1 : 0],
      engine: countEach(MONITOR_METRICS.engine.labels.state, [engine.state]),
      lastSync: [engine.lastSyncAt === undefined ? 0 : Date.parse(engine.lastSyncAt) / 1_000],
      guard: countEach(MONITOR_METRICS.guard.labels.state, [guard.state]),
      repairs: [guard.repairs],
      stoppedSources: [guard.stopped.length],
      ...processNumbers(process, Date.parse(startedAt)),
    };
  }
}

function countEach<Value extends string>(values: readonly Value[], seen: readonly Value[]): number[] {
  return values.map(value => seen.filter(each => each === value).length);
}

function sourcesOf(key: ProxyMetricKey, proxies: readonly MeasuredProxy[]): MetricSource[] {
  return proxies.flatMap(({ name, numbers: { [key]: numbers } }) =>
    numbers === undefined ? [] : [{ labels: { proxy: name }, numbers }],
  );
}
