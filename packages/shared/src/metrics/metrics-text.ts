import { seriesOf, widthOf, type MetricDefinition } from './definition.ts';

/** The text format of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/). */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;

/** Numbers of one metric from one source, which further labels may name. */
export interface MetricSource {
  readonly labels?: Labels;
  readonly numbers: readonly number[];
}

/** One metric of all its sources, as text. Nothing for a metric that nobody has. */
export function metricText(definition: MetricDefinition, sources: readonly MetricSource[]): string {
  if (sources.length === 0) return '';
  const { name, type, help } = definition;
  const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`];
  const series = seriesOf(definition);
  const width = widthOf(definition);
  for (const { labels: further = {}, numbers } of sources) {
    series.forEach((own, index) => {
      const labels = { ...further, ...own };
      const values = numbers.slice(index * width, (index + 1) * width);
      if (type === 'histogram') lines.push(...histogramLines(definition, labels, values));
      else lines.push(`${name}${labelText(labels)} ${values[0] ?? 0}`);
    });
  }
  return `${lines.join('\n')}\n`;
}

function histogramLines(
  { name, buckets = [] }: MetricDefinition,
  labels: Labels,
  values: number[],
): string[] {
  let below = 0;
  const lines = [...buckets.map(String), '+Inf'].map((le, bucket) => {
    below += values[bucket] ?? 0;
    return `${name}_bucket${labelText({ ...labels, le })} ${below}`;
  });
  return [
    ...lines,
    `${name}_sum${labelText(labels)} ${values.at(-1) ?? 0}`,
    `${name}_count${labelText(labels)} ${below}`,
  ];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
