import { lengthOf, widthOf, type MetricDefinition } from './definition.ts';

/** The numbers of one metric, all series in one array: counting allocates nothing. */
export class MetricValues {
  readonly #values: Float64Array;
  readonly #buckets: readonly number[];
  readonly #width: number;

  constructor(definition: MetricDefinition) {
    this.#values = new Float64Array(lengthOf(definition));
    this.#buckets = definition.buckets ?? [];
    this.#width = widthOf(definition);
  }

  /** Counts one more, of a counter. */
  increment(series: number): void {
    this.#values[series] = this.#values[series]! + 1;
  }

  set(series: number, value: number): void {
    this.#values[series] = value;
  }

  /** Takes an observation into a histogram. */
  observe(series: number, value: number): void {
    const start = series * this.#width;
    let bucket = 0;
    while (bucket < this.#buckets.length && value > this.#buckets[bucket]!) bucket += 1;
    const sum = start + this.#width - 1;
    this.#values[start + bucket] = this.#values[start + bucket]! + 1;
    this.#values[sum] = this.#values[sum]! + value;
  }

  /** A copy. Buckets hold what fell into each, not what fell below. */
  numbers(): number[] {
    return [...this.#values];
  }
}
