/**
 * Remembers the results of a pure function for the texts that come again and again. When it is full it starts afresh:
 * whoever sends ever new texts costs the others one more computation now and then, and no memory.
 */
export class BoundedMemo<Result> {
  readonly #compute: (text: string) => Result;
  readonly #maxEntries: number;
  readonly #maxLength: number;
  readonly #results = new Map<string, Result>();

  /** Longer texts than `maxLength` characters are not remembered. */
  constructor(
    compute: (text: string) => Result,
    { maxEntries, maxLength }: { readonly maxEntries: number; readonly maxLength: number },
  ) {
    this.#compute = compute;
    this.#maxEntries = maxEntries;
    this.#maxLength = maxLength;
  }

  get(text: string): Result {
    const known = this.#results.get(text);
    if (known !== undefined) return known;
    const result = this.#compute(text);
    if (text.length <= this.#maxLength) {
      if (this.#results.size >= this.#maxEntries) this.#results.clear();
      this.#results.set(text, result);
    }
    return result;
  }
}
