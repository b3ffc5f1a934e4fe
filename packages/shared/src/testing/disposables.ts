/** What a test opened, to be closed after it. `await using` in a form that Node 22 can read too. */
export class Disposables {
  #opened: AsyncDisposable[] = [];

  add<T extends AsyncDisposable>(resource: T): T {
    this.#opened.push(resource);
    return resource;
  }

  /** Closes everything, newest first. */
  async dispose(): Promise<void> {
    const opened = this.#opened.reverse();
    this.#opened = [];
    for (const resource of opened) await resource[Symbol.asyncDispose]();
  }
}
