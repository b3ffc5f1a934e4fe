/**
 * A metric as Prometheus knows it. Labels have fixed sets of values, so that nobody who sends requests or starts
 * containers can make series.
 */
export interface MetricDefinition {
  /** In base units; ends in `_total` for counters (https://prometheus.io/docs/practices/naming/). */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** A label whose one value is known when the metric is shown, by what it tells. Never something that containers choose. */
  readonly openLabels?: Readonly<Record<string, string>>;
  /** Upper bounds of a histogram, ascending, without `+Inf`. */
  readonly buckets?: readonly number[];
}

/** The labels of each series of a metric; a series is known by its place in this list. */
export function seriesOf({ labels = {} }: MetricDefinition): Readonly<Record<string, string>>[] {
  let series: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(labels)) {
    series = series.flatMap(each => values.map(value => ({ ...each, [name]: value })));
  }
  return series;
}

/** Numbers that a series takes: one; for a histogram those of its buckets, `+Inf`, and the sum. */
export function widthOf({ type, buckets = [] }: MetricDefinition): number {
  return type === 'histogram' ? buckets.length + 2 : 1;
}

export function lengthOf(definition: MetricDefinition): number {
  return seriesOf(definition).length * widthOf(definition);
}
