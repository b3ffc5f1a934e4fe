import {
  printable,
  type ClientStatus,
  type EngineStatus,
  type GuardStatus,
  type MonitorStatus,
  type PolicySummary,
  type ProxyStatus,
} from '@msi-proxy/shared';

const SHORT_ID_LENGTH = 12;

/** The status as text for people: the engine, the guard, a table of proxies, and one of clients. */
export function formatStatus(status: MonitorStatus): string {
  return [
    `msi-monitor ${status.version}, since ${status.startedAt}`,
    formatEngine(status.engine),
    formatGuard(status.guard),
    ...formatStopped(status.guard),
    '',
    ...section('Proxies', ['NAME', 'ID', 'STATE', 'ADDRESS', 'REASON'], status.proxies.map(proxyRow), {
      none: 'none; start one with the label MSIProxyContainer',
    }),
    '',
    ...section(
      'Clients',
      ['NAME', 'ID', 'STATE', 'METHOD', 'IDENTITY', 'ADDRESSES', 'REASON'],
      status.clients.map(clientRow),
      { none: 'none; containers with the label MSIClientContainer appear here' },
    ),
    '',
  ].join('\n');
}

function formatEngine({ state, version, apiVersion, lastError }: EngineStatus): string {
  const which = version === undefined ? '' : `, Docker ${version} (API ${apiVersion ?? 'unknown'})`;
  return `Engine: ${state}${which}${lastError === undefined || state === 'connected' ? '' : ` – ${lastError}`}`;
}

function formatGuard({ mode, state, reason, repairs, lastRepair }: GuardStatus): string {
  const repaired = repairs === 0 ? '' : `, mended ${repairs} times, last at ${lastRepair?.at ?? 'unknown'}`;
  if (mode === 'off') return `Guard: off${repaired}`;
  return `Guard: ${mode}, ${state}${repaired}${reason === undefined ? '' : ` – ${reason}`}`;
}

function formatStopped({ mode, stopped }: GuardStatus): string[] {
  if (stopped.length === 0) return [];
  const title = mode === 'audit' ? 'The guard would have stopped' : 'The guard stopped';
  const rows = stopped.map(({ name = '(no container)', containerId = '', address, attempts, lastAt }) => [
    printable(name),
    shortId(containerId),
    address,
    String(attempts),
    lastAt,
  ]);
  return ['', ...section(title, ['NAME', 'ID', 'ADDRESS', 'ATTEMPTS', 'LAST'], rows, { none: '' })];
}

function proxyRow({ name, containerId, state, address = '', reason = '' }: ProxyStatus): string[] {
  return [printable(name), shortId(containerId), state, address, reason];
}

function clientRow(client: ClientStatus): string[] {
  const { name, containerId, state, method = '', addresses, policy, reason = '' } = client;
  return [
    printable(name),
    shortId(containerId),
    state,
    method,
    formatIdentities(policy),
    addresses.join(','),
    reason,
  ];
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

function section(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { none }: { readonly none: string },
): string[] {
  if (rows.length === 0) return [`${title}: ${none}`];
  const cells = [head, ...rows.map(row => row.map(withoutControlCharacters))];
  const widths = head.map((_, column) => Math.max(...cells.map(row => row[column]!.length)));
  const lines = cells.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return [`${title}:`, ...lines.map(line => `  ${line}`)];
}

/** What came from elsewhere must not move the cursor of whoever reads the table. */
function withoutControlCharacters(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
