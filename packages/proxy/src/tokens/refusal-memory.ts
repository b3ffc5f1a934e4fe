import type { Clock } from '@msi-proxy/shared';
import { LRUCache } from 'lru-cache';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';

// Long enough that a client that crashes and starts again in a loop asks IMDS a few times a minute only; short enough
// that an identity that was just assigned to the VM works at once, as people see it.
const KEPT_MILLIS = 5_000;

const MAX_KEPT = 1_000;

interface Refusal {
  readonly answer: UpstreamAnswer;
  readonly untilMillis: number;
}

/** Remembers for a few seconds what IMDS has definitely refused. */
export class RefusalMemory {
  readonly #clock: Clock;
  readonly #refusals = new LRUCache<string, Refusal>({ max: MAX_KEPT });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): UpstreamAnswer | undefined {
    const refusal = this.#refusals.get(key);
    if (refusal === undefined || refusal.untilMillis > this.#clock.monotonicMillis()) return refusal?.answer;
    this.#refusals.delete(key);
    return undefined;
  }

  add(key: string, answer: UpstreamAnswer): void {
    this.#refusals.set(key, { answer, untilMillis: this.#clock.monotonicMillis() + KEPT_MILLIS });
  }

  delete(key: string): void {
    this.#refusals.delete(key);
  }

  clear(): void {
    this.#refusals.clear();
  }
}
