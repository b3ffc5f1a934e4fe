import { median, quantile } from '../../bench/lib/statistics.ts';
import { table } from '../../bench/lib/tables.ts';
import type { LongRun } from './long-run.ts';
import type { ReplacementKind } from './replacement.ts';
import type { Criterion } from './verdict.ts';

/** The figures of a run as Markdown, for docs/long-run.md. */
export function reportOf(run: LongRun, criteria: readonly Criterion[]): string {
  const { options, seconds, samples, starts, stops, requests, replacements, load } = run;
  const alive = samples.map(({ clients }) => clients);
  const { durationsMillis, failures } = requests;
  return [
    `- ${(seconds / 60).toFixed(1)} minutes; wanted: ${options.clients} containers, ${options.rate} starts and stops a second.`,
    `- Reached: ${(starts / seconds).toFixed(2)} starts (${starts}) and ${(stops / seconds).toFixed(2)} stops (${stops}) a second, ` +
      `${Math.min(...alive)} to ${Math.max(...alive)} containers at a time. The engine took ${median(run.startMillis).toFixed(0)} ms for a start (p99 ${quantile(run.startMillis, 0.99).toFixed(0)} ms). Load of the machine at the end: ${load.map(each => each.toFixed(1)).join(', ')}.`,
    `- ${replacementText(run, 'planned')}; ${replacementText(run, 'killed')}; ${replacements.length} in all.`,
    `- ${requests.answered} tokens, median ${median(durationsMillis).toFixed(1)} ms, p99 ${quantile(durationsMillis, 0.99).toFixed(0)} ms; ` +
      `${failures.length} failures${outcomesText(failures.map(({ outcome }) => outcome))}; ` +
      `containers without the label were refused ${requests.strangersRefused} times.`,
    `- CPU of the monitor: ${((run.monitorCpuSeconds / seconds) * 100).toFixed(1)} % of one processor, ` +
      `${((run.monitorCpuSeconds * 1_000) / starts).toFixed(1)} ms for each container that came and one that went.`,
    '',
    criteriaText(criteria),
  ].join('\n');
}

export function criteriaText(criteria: readonly Criterion[]): string {
  return table(
    ['', 'seen', 'limit', ''],
    criteria.map(({ what, seen, limit, holds }) => [what, seen, limit, verdictText(holds)]),
  );
}

function replacementText({ replacements }: LongRun, wanted: ReplacementKind): string {
  const millis = replacements.filter(({ kind }) => kind === wanted).map(each => each.millis);
  const how =
    wanted === 'planned' ? 'planned replacements of the proxy' : 'proxies killed without another one';
  if (millis.length === 0) return `0 ${how}`;
  return `${millis.length} ${how} (the next one served after ${(median(millis) / 1_000).toFixed(2)} s at the median, at most ${(Math.max(...millis) / 1_000).toFixed(2)} s)`;
}

function outcomesText(outcomes: readonly string[]): string {
  const kinds = [...new Set(outcomes)].map(
    kind => `${outcomes.filter(outcome => outcome === kind).length} × ${kind}`,
  );
  return kinds.length === 0 ? '' : ` (${kinds.join(', ')})`;
}

function verdictText(holds: boolean | undefined): string {
  if (holds === undefined) return 'not known';
  return holds ? 'holds' : '**does not hold**';
}
