/**
 * Shares out the connections of a server among the addresses that they come from. An address may have as many as there are
 * places left: alone it gets half of all, and one that has none is refused only when no place is left at all.
 */
export class ConnectionShares {
  max: number;
  #taken = 0;
  readonly #takenBy = new Map<string, number>();

  constructor(max: number) {
    this.max = max;
  }

  admits(address: string): boolean {
    return this.#of(address) < this.max - this.#taken;
  }

  /** @returns what gives the place back, to be called once */
  take(address: string): () => void {
    this.#add(address, 1);
    return () => this.#add(address, -1);
  }

  #of(address: string): number {
    return this.#takenBy.get(address) ?? 0;
  }

  #add(address: string, count: 1 | -1): void {
    this.#taken += count;
    const taken = this.#of(address) + count;
    if (taken === 0) this.#takenBy.delete(address);
    else this.#takenBy.set(address, taken);
  }
}
