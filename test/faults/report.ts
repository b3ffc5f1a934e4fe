import { type FaultResult } from './bench.ts';

export const TABLE_HEAD = [
  '| fault | count | requests | failed | outside its window | longest outage | converged after (median, longest) | wrong identity | stranger served | leaks | load |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
];

/** What may not be. */
export function violationsOf(result: FaultResult): readonly string[] {
  const { requests, failuresOutside, wrongIdentities, strangersServed, leaks } = result;
  return [
    ...(requests === 0 ? ['clients asked nothing'] : []),
    ...(failuresOutside > 0
      ? [`${failuresOutside} requests failed without an excuse: ${result.examples.join(', ')}`]
      : []),
    ...(wrongIdentities > 0 ? [`${wrongIdentities} tokens of another identity`] : []),
    ...(strangersServed > 0 ? [`${strangersServed} tokens for the container without the label`] : []),
    ...leaks.map(leak => `leak: ${leak}`),
  ];
}

export function tableRow(result: FaultResult): string {
  const { fault, count, requests, failures, failuresOutside, outcomes, convergeMillis } = result;
  const kinds = Object.entries(outcomes).map(([outcome, times]) => `${times} × ${outcome}`);
  const cells = [
    `\`${fault.name}\``,
    `${count} ${fault.unit ?? 'time'}${count === 1 ? '' : 's'}`,
    requests,
    failures === 0 ? '0' : `${failures} (${kinds.join(', ')})`,
    failuresOutside,
    seconds(result.longestOutageMillis),
    `${seconds(median(convergeMillis))}, ${seconds(Math.max(0, ...convergeMillis))}`,
    result.wrongIdentities,
    result.strangersServed,
    result.leaks.length === 0 ? 'none' : result.leaks.join('; '),
    result.machineLoad.toFixed(1),
  ];
  return `| ${cells.join(' | ')} |`;
}

export function describeResult(result: FaultResult): string {
  const { before, after, remark } = result;
  const held = (Object.keys(before) as (keyof typeof before)[]).map(
    key => `${key} ${before[key]} → ${after[key]}`,
  );
  const violations = violationsOf(result);
  return [
    ...TABLE_HEAD,
    tableRow(result),
    `  held: ${held.join(', ')}; ${result.seconds.toFixed(0)} s`,
    ...(remark === undefined ? [] : [`  ${remark}`]),
    violations.length === 0 ? '  ✓' : `  ✗ ${violations.join('; ')}`,
  ].join('\n');
}

function seconds(millis: number): string {
  return `${(millis / 1_000).toFixed(2)} s`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
