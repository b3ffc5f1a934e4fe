/**
 * Reads something for all who ask, one reading at a time, so that an answer that took long does not replace a newer one. All
 * who come while one is under way share the next one: each of them hears of a time after it has asked.
 */
export class SharedReading<Result> {
  readonly #begin: () => Promise<Result>;
  /** Under way. */
  #current: Promise<Result> | undefined;
  /** Begins when that is over. */
  #next: Promise<Result> | undefined;

  constructor(begin: () => Promise<Result>) {
    this.#begin = begin;
  }

  get isIdle(): boolean {
    return this.#current === undefined;
  }

  async read(): Promise<Result> {
    if (this.#current === undefined) return await this.#readNow();
    this.#next ??= this.#current.then(
      () => this.#readNow(),
      () => this.#readNow(),
    );
    return await this.#next;
  }

  async #readNow(): Promise<Result> {
    this.#next = undefined;
    const current = this.#begin();
    this.#current = current;
    try {
      return await current;
    } finally {
      this.#end();
    }
  }

  #end(): void {
    if (this.#next === undefined) this.#current = undefined;
  }
}
