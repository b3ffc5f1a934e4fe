import {
  MetricValues,
  PROXY_METRICS,
  processNumbers,
  type ProcessState,
  type ProxyMetricNumbers,
} from '@msi-proxy/shared/metrics';
import type { AuditRecord } from '../audit.ts';
import type { MonitorState } from '../callers/caller-resolver.ts';
import type { ProxySettings } from '../config.ts';

/** What is looked up when the metrics are read. */
export interface ProxyGauges {
  readonly budgetWaiting: number;
  readonly callers: number;
  readonly monitor: MonitorState;
  readonly policy: ProxySettings['policy'];
  readonly tokens: { readonly valid: number; readonly failing: number; readonly failingNearExpiry: number };
  readonly process: ProcessState;
}

const { group: GROUPS, outcome: OUTCOMES } = PROXY_METRICS.requests.labels;
const GROUP_INDEX = new Map<string, number>(GROUPS.map((group, index) => [group, index]));
const OUTCOME_INDEX = new Map<string, number>(OUTCOMES.map((outcome, index) => [outcome, index]));
const FAILURES = PROXY_METRICS.failures.labels.reason;
const FAILURE_INDEX = new Map<string, number>(FAILURES.map((reason, index) => [reason, index]));
const OTHER_FAILURE = FAILURES.indexOf('other');
const THROTTLED = OUTCOMES.indexOf('throttled');
const VIA_INDEX = new Map<string, number>(
  PROXY_METRICS.requestDuration.labels.via.map((via, index) => [via, index]),
);
const STATUSES = PROXY_METRICS.upstreamRequests.labels.status;
const SESSION_STATES = PROXY_METRICS.monitorSession.labels.state;

/** Counts what the proxy does. Requests pass here one by one, so counting makes no objects and no strings. */
export class ProxyMetrics {
  readonly #startedAtMillis: number;
  readonly #requests = new MetricValues(PROXY_METRICS.requests);
  readonly #failures = new MetricValues(PROXY_METRICS.failures);
  readonly #requestDuration = new MetricValues(PROXY_METRICS.requestDuration);
  readonly #upstreamRequests = new MetricValues(PROXY_METRICS.upstreamRequests);
  readonly #upstreamDuration = new MetricValues(PROXY_METRICS.upstreamDuration);

  /** @param startedAtMillis wall clock */
  constructor(startedAtMillis: number) {
    this.#startedAtMillis = startedAtMillis;
  }

  countRequest({ group, verdict, reason, via, durationMillis }: AuditRecord): void {
    const outcome = reason === 'budget' ? THROTTLED : (OUTCOME_INDEX.get(verdict) ?? 0);
    this.#requests.increment((GROUP_INDEX.get(group) ?? 0) * OUTCOMES.length + outcome);
    if (verdict === 'failed') this.#failures.increment(FAILURE_INDEX.get(reason ?? '') ?? OTHER_FAILURE);
    if (via !== undefined) this.#requestDuration.observe(VIA_INDEX.get(via) ?? 0, durationMillis / 1_000);
  }

  /** @param status what IMDS answered; `undefined` when it did not */
  countUpstream(status: number | undefined, durationMillis: number): void {
    this.#upstreamRequests.increment(STATUSES.indexOf(statusClass(status)));
    this.#upstreamDuration.observe(0, durationMillis / 1_000);
  }

  read({ budgetWaiting, callers, monitor, policy, tokens, process }: ProxyGauges): ProxyMetricNumbers {
    return {
      requests: this.#requests.numbers(),
      failures: this.#failures.numbers(),
      requestDuration: this.#requestDuration.numbers(),
      upstreamRequests: this.#upstreamRequests.numbers(),
      upstreamDuration: this.#upstreamDuration.numbers(),
      budgetWaiting: [budgetWaiting],
      tokens: [tokens.valid],
      tokensFailing: [tokens.failing],
      tokensExpiring: [tokens.failingNearExpiry],
      callers: [callers],
      monitorSession: SESSION_STATES.map(state => (state === monitor ? 1 : 0)),
      policyMode: PROXY_METRICS.policyMode.labels.mode.map(mode => (mode === policy ? 1 : 0)),
      ...processNumbers(process, this.#startedAtMillis),
    };
  }
}

function statusClass(status: number | undefined): (typeof STATUSES)[number] {
  if (status === undefined) return 'none';
  if (status === 429) return '429';
  if (status < 200) return '1xx';
  if (status < 300) return '2xx';
  if (status < 400) return '3xx';
  return status < 500 ? '4xx' : '5xx';
}
