import type { Clock, Timer } from '@msi-proxy/shared';
import { LRUCache } from 'lru-cache';
import type { TokenAnswer } from './token-answer.ts';
import type { TokenRequest } from './token-request.ts';

// Containers come and go; those that got it first leave.
const MAX_HOLDERS = 4_096;

/** A token that is kept, and what has become of it. */
export class TokenEntry {
  readonly request: TokenRequest;
  readonly answer: TokenAnswer;
  /** Calls are numbered in the order in which they began; an earlier one does not replace a later one's answer. */
  readonly order: number;
  hits = 0;
  /** A client has had it since it was last got. */
  isUsed = false;
  /** It would have been refreshed by now if a client had used it. */
  isDue = false;
  /** Refreshes that failed since. */
  failures = 0;
  timer: Timer | undefined;
  #holders = new Set<string>();
  readonly #clock: Clock;
  readonly #receivedAtMillis: number;
  /** By the wall clock. */
  readonly receivedAtWallMillis: number;

  constructor(options: {
    readonly request: TokenRequest;
    readonly answer: TokenAnswer;
    readonly order: number;
    readonly clock: Clock;
  }) {
    const { request, answer, order, clock } = options;
    this.request = request;
    this.answer = answer;
    this.order = order;
    this.#clock = clock;
    this.#receivedAtMillis = clock.monotonicMillis();
    this.receivedAtWallMillis = clock.wallMillis();
  }

  /** Containers that were given it, or the one that it renewed. */
  get holders(): ReadonlySet<string> {
    return this.#holders;
  }

  giveTo(containerId: string): void {
    this.#holders.add(containerId);
    if (this.#holders.size <= MAX_HOLDERS) return;
    const [first] = this.#holders;
    if (first !== undefined) this.#holders.delete(first);
  }

  renew(former: TokenEntry): void {
    this.#holders = former.#holders;
  }

  /**
   * Whole seconds since it was received, by the clock that has gone further: the monotonic one stands still while the VM
   * is suspended, the wall clock is set. A token is then given up too early at worst.
   */
  get ageSeconds(): number {
    const monotonicMillis = this.#clock.monotonicMillis() - this.#receivedAtMillis;
    const wallMillis = this.#clock.wallMillis() - this.receivedAtWallMillis;
    return Math.floor(Math.max(monotonicMillis, wallMillis) / 1_000);
  }

  get leftSeconds(): number {
    return this.answer.expiresInSeconds - this.ageSeconds;
  }
}

export interface TokenCacheOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** Tokens by what they are right for (`plainTarget`). Those that were not asked for longest leave when it is full. */
export class TokenCache {
  readonly #entries: LRUCache<string, TokenEntry>;

  constructor({ maxEntries, maxBytes }: TokenCacheOptions) {
    this.#entries = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      sizeCalculation: ({ answer, request }) => answer.sizeBytes + 2 * request.plainTarget.length,
      dispose: entry => entry.timer?.cancel(),
    });
  }

  /** @returns the entry if its token is still valid */
  get(key: string): TokenEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.leftSeconds > 0) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  /** As {@link get}, without counting as a use. */
  peek(key: string): TokenEntry | undefined {
    const entry = this.#entries.peek(key);
    return entry !== undefined && entry.leftSeconds > 0 ? entry : undefined;
  }

  /** Whether this is the entry that is kept for its key. */
  holds(entry: TokenEntry): boolean {
    return this.#entries.peek(entry.request.plainTarget) === entry;
  }

  /** @returns whether it is kept: not if a later call has brought another one, or if it is too large */
  add(entry: TokenEntry): boolean {
    const key = entry.request.plainTarget;
    const present = this.#entries.peek(key);
    if (present !== undefined && present.order > entry.order) return false;
    if (present !== undefined) entry.renew(present);
    this.#entries.set(key, entry);
    return this.holds(entry);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** @returns how many were dropped */
  deleteWhere(condition: (entry: TokenEntry) => boolean): number {
    const dropped = this.entries().filter(condition);
    for (const { request } of dropped) this.#entries.delete(request.plainTarget);
    return dropped.length;
  }

  /** The most recently used first. */
  entries(): TokenEntry[] {
    return [...this.#entries.values()];
  }

  clear(): void {
    this.#entries.clear();
  }
}
