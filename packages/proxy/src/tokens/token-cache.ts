import type { Clock, Timer } from '@msi-proxy/shared';
import { LRUCache } from 'lru-cache';
import type { TokenAnswer } from './token-answer.ts';
import type { TokenRequest } from './token-request.ts';

// A container that holds more of what is kept than this, and alone, makes room for the others.
const GREEDY_SHARE = 1 / 8;

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
  /** Who had it got: the client that waited may have left since. */
  #source: string;
  readonly #clock: Clock;
  readonly #receivedAtMillis: number;
  /** By the wall clock. */
  readonly receivedAtWallMillis: number;

  constructor(options: {
    readonly request: TokenRequest;
    readonly answer: TokenAnswer;
    readonly order: number;
    /** Container in whose name IMDS was asked. */
    readonly source: string;
    readonly clock: Clock;
  }) {
    const { request, answer, order, source, clock } = options;
    this.request = request;
    this.answer = answer;
    this.order = order;
    this.#source = source;
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

  /** The container on whose account it is kept; `undefined` if it is of use to several. */
  get onlyHolder(): string | undefined {
    const [first = this.#source] = this.#holders;
    return this.#holders.size > 1 ? undefined : first;
  }

  renew(former: TokenEntry): void {
    this.#holders = former.#holders;
    this.#source = former.#source;
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

/**
 * Tokens by what they are right for (`plainTarget`). When it is full, those leave that were not asked for longest: of the
 * container that alone holds the most, if that is more than its share. So a container that asks for ever new ones, as by a
 * parameter without a meaning, takes the room of its own, and not of what the others use.
 */
export class TokenCache {
  readonly #entries: LRUCache<string, TokenEntry>;

  constructor({ maxEntries, maxBytes }: TokenCacheOptions) {
    this.#entries = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      sizeCalculation: sizeOf,
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
    this.#entries.delete(key);
    this.#makeRoom(sizeOf(entry));
    this.#entries.set(key, entry);
    return this.holds(entry);
  }

  #makeRoom(bytes: number): void {
    const { max, maxSize } = this.#entries;
    while (this.#entries.size >= max || this.#entries.calculatedSize + bytes > maxSize) {
      const leaving = this.#leastUsedOfGreediest();
      // The cache itself drops what was not asked for longest.
      if (leaving === undefined || bytes > maxSize) return;
      this.#entries.delete(leaving.request.plainTarget);
    }
  }

  #leastUsedOfGreediest(): TokenEntry | undefined {
    const owned = new Map<string, TokenEntry[]>();
    for (const entry of this.#entries.values()) {
      const { onlyHolder } = entry;
      if (onlyHolder === undefined) continue;
      const ofSame = owned.get(onlyHolder);
      if (ofSame === undefined) owned.set(onlyHolder, [entry]);
      else ofSame.push(entry);
    }
    const most = [...owned.values()].reduce((one, other) => (other.length > one.length ? other : one), []);
    return most.length > GREEDY_SHARE * this.#entries.size ? most.at(-1) : undefined;
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

function sizeOf({ answer, request }: TokenEntry): number {
  return answer.sizeBytes + 2 * request.plainTarget.length;
}
