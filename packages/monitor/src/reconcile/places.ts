interface Waiting {
  readonly isUrgent: () => boolean;
  readonly begin: () => void;
}

/** Lets so many do something at a time. Of those who wait, whoever is urgent goes before the others. */
export class Places {
  readonly #count: number;
  #free: number;
  readonly #waiting = new Set<Waiting>();

  constructor(count: number) {
    this.#count = count;
    this.#free = count;
  }

  get taken(): number {
    return this.#count - this.#free;
  }

  /** @param isUrgent is asked whenever a place has become free: it may become so while it waits */
  async use<Result>(work: () => Promise<Result>, isUrgent: () => boolean = () => false): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>(resolve => this.#waiting.add({ isUrgent, begin: resolve }));
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    const waiting = [...this.#waiting];
    const next = waiting.find(({ isUrgent }) => isUrgent()) ?? waiting[0];
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next.begin();
  }
}
