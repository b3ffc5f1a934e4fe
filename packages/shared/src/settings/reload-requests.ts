/** Requests to read settings again. One that comes while the program is still starting is carried out once it has. */
export class ReloadRequests {
  #reload: (() => Promise<void>) | undefined;
  #isWaiting = false;

  /** Somebody wants it. */
  request(): void {
    if (this.#reload === undefined) this.#isWaiting = true;
    else void this.#reload();
  }

  /** It can be done from now on. */
  serveWith(reload: () => Promise<void>): void {
    this.#reload = reload;
    if (this.#isWaiting) void reload();
  }
}
