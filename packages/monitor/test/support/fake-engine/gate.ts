/** Lets everything pass, until it is shut; what comes then waits for it to be opened. */
export class Gate {
  #open: PromiseWithResolvers<void> | undefined;

  get isShut(): boolean {
    return this.#open !== undefined;
  }

  shut(): void {
    this.#open ??= Promise.withResolvers();
  }

  open(): void {
    this.#open?.resolve();
    this.#open = undefined;
  }

  async pass(): Promise<void> {
    while (this.#open !== undefined) await this.#open.promise;
  }
}
