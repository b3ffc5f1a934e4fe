import type { Waiting } from '../../../src/upstream/asked.ts';

/** A client that waits for its answer until the test says that it leaves. */
export class FakeClient implements Waiting {
  hasLeft = false;
  readonly #listeners = new Set<() => void>();

  get listeners(): number {
    return this.#listeners.size;
  }

  onLeave(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  leave(): void {
    this.hasLeft = true;
    for (const listener of [...this.#listeners]) listener();
  }
}
