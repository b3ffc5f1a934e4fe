import type {
  ClientStatus,
  EngineStatus,
  GuardStatus,
  MonitorStatus,
  PolicySummary,
  ProxyStatus,
  StoppedSource,
} from '@msi-proxy/shared';
import { ageOf } from '../terminal/duration.ts';
import { printableLine } from '../terminal/printable-line.ts';
import type { Colour } from '../terminal/paint.ts';
import { formatTable, type Column, type TableOptions } from '../terminal/table.ts';
import { repairsText } from './repairs-text.ts';

export interface FormatStatusOptions extends TableOptions {
  /** The time that ages are told against. */
  readonly nowMillis: number;
}

const SHORT_ID_LENGTH = 12;
const INDENT = '  ';

/** By the words of engine, guard, proxies and clients, which are what is told also without colours. */
const COLOURS: Readonly<Record<string, Colour>> = {
  connected: 'green',
  'in-place': 'green',
  serving: 'green',
  standby: 'green',
  wired: 'green',
  connecting: 'yellow',
  starting: 'yellow',
  pending: 'yellow',
  off: 'yellow',
  unavailable: 'yellow',
  unresponsive: 'red',
  'not-in-place': 'red',
  unhealthy: 'red',
  refused: 'red',
  failed: 'red',
};

/** The status as text for people: the engine, the guard, a table of proxies, and one of clients. */
export function formatStatus(status: MonitorStatus, options: FormatStatusOptions): string {
  const { nowMillis, width } = options;
  const tables = { ...options, width: width - INDENT.length };
  const section = <Row>(
    title: string,
    columns: readonly Column<Row>[],
    rows: readonly Row[],
    none: string,
  ) =>
    rows.length === 0
      ? [`${title}: ${none}`]
      : [`${title}:`, ...formatTable(columns, rows, tables).map(line => INDENT + line)];
  const { stopped, mode } = status.guard;
  return [
    `msi-monitor ${status.version}, since ${status.startedAt}`,
    formatEngine(status.engine, options),
    formatGuard(status.guard, options),
    ...(stopped.length === 0
      ? []
      : [
          '',
          ...section(
            mode === 'audit' ? 'The guard would have stopped' : 'The guard stopped',
            STOPPED_COLUMNS,
            stopped,
            '',
          ),
        ]),
    '',
    ...section(
      'Proxies',
      proxyColumns(nowMillis),
      status.proxies,
      'none; start one with the label MSIProxyContainer',
    ),
    '',
    ...section(
      'Clients',
      clientColumns(nowMillis),
      status.clients,
      'none; containers with the label MSIClientContainer appear here',
    ),
    '',
  ].join('\n');
}

function formatEngine(
  { state, version, apiVersion, lastError }: EngineStatus,
  { paint }: FormatStatusOptions,
): string {
  const which = version === undefined ? '' : `, Docker ${version} (API ${apiVersion ?? 'unknown'})`;
  const problem = lastError === undefined || state === 'connected' ? '' : ` – ${lastError}`;
  return `Engine: ${paint(state, COLOURS[state]!)}${printableLine(which + problem)}`;
}

function formatGuard(guard: GuardStatus, { paint }: FormatStatusOptions): string {
  const { mode, state, reason, barrier } = guard;
  const repairs = repairsText(guard);
  const repaired = repairs === undefined ? '' : `, ${repairs}`;
  if (mode === 'off') return `Guard: ${paint('off', COLOURS['off']!)}${repaired}`;
  const why = reason === undefined ? '' : ` – ${printableLine(reason)}`;
  const alone =
    barrier?.state === 'unavailable'
      ? `\n  no barrier in the routing – ${printableLine(barrier.reason ?? '')}`
      : '';
  return `Guard: ${mode}, ${paint(state, COLOURS[state]!)}${repaired}${why}${alone}`;
}

const STOPPED_COLUMNS: readonly Column<StoppedSource>[] = [
  { head: 'NAME', text: ({ name = '(no container)' }) => name },
  { head: 'ID', text: ({ containerId = '' }) => shortId(containerId) },
  { head: 'ADDRESS', text: ({ address }) => address },
  { head: 'ATTEMPTS', text: ({ attempts }) => String(attempts) },
  { head: 'LAST', text: ({ lastAt }) => lastAt },
];

function proxyColumns(nowMillis: number): readonly Column<ProxyStatus>[] {
  return [
    { head: 'NAME', text: ({ name }) => name },
    { head: 'ID', text: ({ containerId }) => shortId(containerId) },
    { head: 'STATE', text: ({ state }) => state, colour: ({ state }) => COLOURS[state] },
    { head: 'FOR', text: ({ since }) => ageOf(since, nowMillis) },
    { head: 'ADDRESS', text: ({ address = '' }) => address },
    { head: 'REASON', text: ({ reason = '' }) => reason },
  ];
}

function clientColumns(nowMillis: number): readonly Column<ClientStatus>[] {
  return [
    { head: 'NAME', text: ({ name }) => name },
    { head: 'ID', text: ({ containerId }) => shortId(containerId) },
    { head: 'STATE', text: ({ state }) => state, colour: ({ state }) => COLOURS[state] },
    { head: 'FOR', text: ({ since }) => ageOf(since, nowMillis) },
    { head: 'METHOD', text: ({ method = '' }) => method },
    { head: 'IDENTITY', text: ({ policy }) => formatIdentities(policy) },
    { head: 'ADDRESSES', text: ({ addresses }) => addresses.join(',') },
    { head: 'REQUESTS', text: ({ traffic }) => countText(traffic?.requests) },
    {
      head: 'REFUSED',
      text: ({ traffic }) => countText(traffic?.refusals),
      colour: ({ traffic }) => ((traffic?.refusals ?? 0) > 0 ? 'yellow' : undefined),
    },
    { head: 'REASON', text: reasonText },
  ];
}

function reasonText({ reason, traffic }: ClientStatus): string {
  const lastRefusal = traffic?.lastRefusal?.reason;
  return reason ?? (lastRefusal === undefined ? '' : `last refusal: ${lastRefusal}`);
}

function countText(count: number | undefined): string {
  return count === undefined ? '' : String(count);
}

function formatIdentities(policy: PolicySummary | undefined): string {
  if (policy === undefined) return '';
  const { identity, identities } = policy;
  const further = identities.filter(each => each !== identity);
  const shown = further.includes('*') ? 'any' : further.join(',');
  if (identity === undefined) return shown;
  return shown === '' ? identity : `${identity} (+ ${shown})`;
}

function shortId(containerId: string): string {
  return containerId.slice(0, SHORT_ID_LENGTH);
}
