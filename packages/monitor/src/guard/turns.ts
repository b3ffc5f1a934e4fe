/** Lets one operation at a time run: changes in their order, and what only looks when no change waits. */
export class Turns {
  readonly #changes: (() => Promise<void>)[] = [];
  readonly #looks: (() => Promise<void>)[] = [];
  #isBusy = false;

  async change<Result>(operation: () => Promise<Result>): Promise<Result> {
    return await this.#enqueue(this.#changes, operation);
  }

  async look<Result>(operation: () => Promise<Result>): Promise<Result> {
    return await this.#enqueue(this.#looks, operation);
  }

  async #enqueue<Result>(queue: (() => Promise<void>)[], operation: () => Promise<Result>): Promise<Result> {
    const outcome = Promise.withResolvers<Result>();
    queue.push(() => operation().then(outcome.resolve, outcome.reject));
    if (!this.#isBusy) void this.#work();
    return await outcome.promise;
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    await Promise.resolve(); // nothing begins before whoever wants it holds its promise
    for (let next = this.#next(); next !== undefined; next = this.#next()) await next();
    this.#isBusy = false;
  }

  #next(): (() => Promise<void>) | undefined {
    return this.#changes.shift() ?? this.#looks.shift();
  }
}
