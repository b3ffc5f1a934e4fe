/** Counts the connections to one server, whoever opened them, so that there are never more than a few. */
export class ConnectionPlaces {
  readonly #max: number;
  readonly #closeIdle: () => void;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /** @param closeIdle called when a place is wanted and none is free: closes a connection that nobody uses, if any */
  constructor(max: number, closeIdle: () => void) {
    this.#max = max;
    this.#closeIdle = closeIdle;
  }

  get isWanted(): boolean {
    return this.#waiting.length > 0;
  }

  /** Calls back when a connection may be opened: at once, or as soon as another is closed. */
  take(open: () => void): void {
    if (this.#taken < this.#max) {
      this.#taken += 1;
      open();
      return;
    }
    this.#waiting.push(open);
    this.#closeIdle();
  }

  /** A connection has been closed. */
  release(): void {
    const open = this.#waiting.shift();
    if (open === undefined) this.#taken -= 1;
    else open();
  }
}
