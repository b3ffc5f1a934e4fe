import type { Comparison, SideResult } from './comparison.ts';
import type { Spread } from './statistics.ts';

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}

/** A comparison as a section of docs/benchmarks.md. */
export function comparisonText(comparison: Comparison): string {
  return `### ${comparison.title}\n\n${comparisonTable(comparison)}`;
}

function comparisonTable({ load, sides }: Comparison): string {
  const isSaturated = load === 'closed';
  const head = [
    'side',
    ...(isSaturated ? ['requests/s', '× nginx'] : []),
    'p50, µs',
    '× nginx',
    'p99, µs',
    '× nginx',
    'CPU s per 1,000 requests',
    '× nginx',
    'resident, MB',
    'new upstream connections',
    'open at the end',
    'upstream calls per request',
  ];
  return table(
    head,
    sides.map(side => [
      side.side,
      ...(isSaturated ? [spread(side.rate, 0), ratio(side.ratio.rate)] : []),
      spread(side.p50Micros, 0),
      ratio(side.ratio.p50),
      spread(side.p99Micros, 0),
      ratio(side.ratio.p99),
      // µs a request are ms per thousand requests.
      side.cpuMicros === undefined ? '' : (side.cpuMicros.median / 1_000).toFixed(4),
      ratio(side.ratio.cpu),
      side.residentMegabytes?.toFixed(0) ?? '',
      side.upstreamConnections ?? '',
      side.upstreamOpen ?? '',
      callsPerRequest(side),
    ]),
  );
}

function callsPerRequest({ upstreamRequests, requests }: SideResult): string {
  return upstreamRequests === undefined ? '' : (upstreamRequests / requests).toFixed(4);
}

function spread({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

function ratio(value: number | undefined): string {
  return value?.toFixed(2) ?? '';
}
