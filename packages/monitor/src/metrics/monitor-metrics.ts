import { codeOf, type MonitorStatus } from '@msi-proxy/shared';
import {
  DOCKER_ACTIONS,
  METRICS_CONTENT_TYPE,
  metricText,
  MetricValues,
  MONITOR_METRICS,
  processNumbers,
  PROXY_METRICS,
  type MetricSource,
  type ProcessState,
  type StandInOutcome,
  type ProxyMetricKey,
  type ProxyMetricNumbers,
} from '@msi-proxy/shared/metrics';

export { METRICS_CONTENT_TYPE };

/** The last that a proxy measured. */
export interface MeasuredProxy {
  readonly name: string;
  /** As it says itself. */
  readonly version: string;
  readonly numbers: ProxyMetricNumbers;
}

/** Containers that wait, or are worked on. */
export interface QueueDepth {
  readonly inspect: number;
  readonly wire: number;
}

export interface MetricsPageOptions {
  readonly status: MonitorStatus;
  readonly imdsIsFailing: boolean;
  readonly proxies: readonly MeasuredProxy[];
  readonly process: ProcessState;
  readonly heldRequests: number;
  readonly queueDepth: QueueDepth;
  readonly resyncSeconds: number;
}

/** What one scrape of the monitor shows: the monitor and the proxies it has sessions with. */
export class MonitorMetrics {
  readonly #wiringDuration = new MetricValues(MONITOR_METRICS.wiringDuration);

  readonly #standInRequests = new MetricValues(MONITOR_METRICS.standInRequests);
  readonly #dockerEvents = new MetricValues(MONITOR_METRICS.dockerEvents);
  readonly #reconnects = new MetricValues(MONITOR_METRICS.eventStreamReconnects);
  readonly #failures = new MetricValues(MONITOR_METRICS.failures);

  countStandInRequest(outcome: StandInOutcome): void {
    this.#standInRequests.increment(MONITOR_METRICS.standInRequests.labels.outcome.indexOf(outcome));
  }

  countDockerEvent(type: string, action: string): void {
    this.#dockerEvents.increment(indexIn(DOCKER_ACTIONS, `${type} ${action}`));
  }

  /** @param error why the stream of events ended */
  countReconnect(error: unknown): void {
    const reason = codeOf(error)
      ?.replace(/^MSI_ENGINE_/, '')
      .toLowerCase()
      .replaceAll('_', '-');
    const { reason: reasons } = MONITOR_METRICS.eventStreamReconnects.labels;
    // An end without a code is that of the connection.
    this.#reconnects.increment(
      Math.max(
        reasons.findIndex(each => each === reason),
        0,
      ),
    );
  }

  countFailure(error: unknown): void {
    this.#failures.increment(indexIn(MONITOR_METRICS.failures.labels.code, codeOf(error) ?? 'other'));
  }

  countWiring(durationMillis: number): void {
    this.#wiringDuration.observe(0, durationMillis / 1_000);
  }

  page(options: MetricsPageOptions): string {
    const own = {
      ...this.#read(options),
      wiringDuration: this.#wiringDuration.numbers(),
      standInRequests: this.#standInRequests.numbers(),
      dockerEvents: this.#dockerEvents.numbers(),
      eventStreamReconnects: this.#reconnects.numbers(),
      failures: this.#failures.numbers(),
    };
    const monitor = (Object.keys(MONITOR_METRICS) as (keyof typeof MONITOR_METRICS)[]).map(key =>
      metricText(MONITOR_METRICS[key], [
        { numbers: own[key], ...(key === 'buildInfo' && { labels: { version: options.status.version } }) },
      ]),
    );
    const proxies = (Object.keys(PROXY_METRICS) as ProxyMetricKey[]).map(key =>
      metricText(PROXY_METRICS[key], sourcesOf(key, options.proxies)),
    );
    return [...monitor, ...proxies].join('');
  }

  #read(options: MetricsPageOptions) {
    const { status, imdsIsFailing, process, heldRequests, queueDepth, resyncSeconds } = options;
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
      resyncInterval: [resyncSeconds],
      guard: countEach(MONITOR_METRICS.guard.labels.state, [guard.state]),
      guardMode: countEach(MONITOR_METRICS.guardMode.labels.mode, [guard.mode]),
      barrier: countEach(MONITOR_METRICS.barrier.labels.state, [guard.barrier?.state ?? 'off']),
      repairs: [guard.repairs],
      stoppedSources: [guard.stopped.length],
      standInHeld: [heldRequests],
      queueDepth: [queueDepth.inspect, queueDepth.wire],
      ...processNumbers(process, Date.parse(startedAt)),
    };
  }
}

function countEach<Value extends string>(values: readonly Value[], seen: readonly Value[]): number[] {
  return values.map(value => seen.filter(each => each === value).length);
}

function sourcesOf(key: ProxyMetricKey, proxies: readonly MeasuredProxy[]): MetricSource[] {
  return proxies.flatMap(({ name, version, numbers: { [key]: numbers } }) =>
    numbers === undefined
      ? []
      : [
          {
            labels: { proxy: name, ...(key === 'buildInfo' && { version: shownVersion(version) }) },
            numbers,
          },
        ],
  );
}

/** What a proxy calls its version is text of another program. */
function shownVersion(version: string): string {
  return /^[\w.+-]{1,64}$/.test(version) ? version : 'unknown';
}

/** The place of the value; of the last one, which stands for all others, when it is not there. */
function indexIn(values: readonly string[], value: string): number {
  const index = values.indexOf(value);
  return index < 0 ? values.length - 1 : index;
}
