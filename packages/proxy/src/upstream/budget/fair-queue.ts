export interface Turn<Item> {
  readonly source: string;
  readonly item: Item;
}

/**
 * Lines of waiting items, one for each source. Within a line the first comes first; the lines take turns, so that a
 * source with many items makes the others wait for one of its items at most.
 */
export class FairQueue<Item extends object> {
  /** In the order in which they have their turn. */
  readonly #lines = new Map<string, Set<Item>>();
  /** The lines that an item stands in: mostly one. */
  readonly #sources = new Map<Item, string[]>();

  get size(): number {
    return this.#sources.size;
  }

  has(item: Item): boolean {
    return this.#sources.has(item);
  }

  /** Items of this source that wait. */
  lengthOf(source: string): number {
    return this.#lines.get(source)?.size ?? 0;
  }

  /** An item that waits for several sources stands in the line of each; it is taken when the first has its turn. */
  add(source: string, item: Item): void {
    const line = this.#lines.get(source);
    if (line === undefined) this.#lines.set(source, new Set([item]));
    else line.add(item);
    const sources = this.#sources.get(item);
    if (sources === undefined) this.#sources.set(item, [source]);
    else if (!sources.includes(source)) sources.push(source);
  }

  /** Whether an item waits for one of these sources. */
  hasFor(mayTake: (source: string) => boolean): boolean {
    for (const source of this.#lines.keys()) if (mayTake(source)) return true;
    return false;
  }

  /**
   * The item whose turn it is, and in whose line it stood.
   *
   * @param mayTake the others are passed over, and keep their turn
   */
  take(mayTake: (source: string) => boolean = () => true): Turn<Item> | undefined {
    for (const [source, line] of this.#lines) {
      if (!mayTake(source)) continue;
      const [item] = line;
      // To the end of the lines; without items the line is gone.
      if (this.#lines.size > 1) {
        this.#lines.delete(source);
        this.#lines.set(source, line);
      }
      this.remove(item!);
      return { source, item: item! };
    }
    return undefined;
  }

  remove(item: Item): void {
    for (const source of this.#sources.get(item) ?? []) {
      const line = this.#lines.get(source)!;
      line.delete(item);
      if (line.size === 0) this.#lines.delete(source);
    }
    this.#sources.delete(item);
  }
}
