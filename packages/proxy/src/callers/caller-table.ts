import type { Caller, Clock } from '@msi-proxy/shared';

export interface CallerEntry {
  readonly caller: Caller;
  /** When the monitor last vouched for it, on the monotonic clock; minus infinity when it only told of it. */
  readonly confirmedAtMillis: number;
}

/** Told of every address whose owner or grant changed. */
export type CallerListener = (address: string) => void;

/** Who is behind which source address, as the monitor tells. */
export class CallerTable {
  readonly #clock: Clock;
  readonly #entries = new Map<string, CallerEntry>();
  readonly #listeners = new Set<CallerListener>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  get addresses(): string[] {
    return [...this.#entries.keys()];
  }

  get callers(): Caller[] {
    return [...this.#entries.values()].map(({ caller }) => caller);
  }

  /** As long as owner and grant stay the same, so does the `caller` object. */
  get(address: string): CallerEntry | undefined {
    return this.#entries.get(address);
  }

  /** Whether this run of this container still has the address. */
  holds({ address, containerId, startedAt }: Caller): boolean {
    const current = this.#entries.get(address)?.caller;
    return current?.containerId === containerId && current.startedAt === startedAt;
  }

  /** Whether it also still has the same grant. */
  isCurrent(caller: Caller): boolean {
    const current = this.#entries.get(caller.address)?.caller;
    return current !== undefined && (current === caller || sameCaller(current, caller));
  }

  /** Replaces everything, as {@link learn} does. */
  replaceAll(callers: readonly Caller[]): void {
    const kept = new Set(callers.map(({ address }) => address));
    for (const address of [...this.#entries.keys()]) {
      if (!kept.has(address)) this.remove(address);
    }
    for (const caller of callers) this.learn(caller);
  }

  /**
   * The monitor has seen this container at its address some time ago: how long ago, nobody can say who only hears of it.
   * On a busy VM its message may have been under way for seconds.
   */
  learn(caller: Caller): void {
    this.confirm(caller, -Infinity);
  }

  /**
   * The container has this address.
   *
   * @param confirmedAtMillis the latest moment of which that is certain; now unless given
   */
  confirm(caller: Caller, confirmedAtMillis = this.#clock.monotonicMillis()): void {
    const known = this.#entries.get(caller.address);
    if (known !== undefined && sameCaller(known.caller, caller)) {
      const latestMillis = Math.max(known.confirmedAtMillis, confirmedAtMillis);
      this.#entries.set(caller.address, { ...known, confirmedAtMillis: latestMillis });
      return;
    }
    this.#entries.set(caller.address, { caller, confirmedAtMillis });
    this.#tell(caller.address);
  }

  remove(address: string): void {
    if (this.#entries.delete(address)) this.#tell(address);
  }

  /** @returns a function that ends the subscription */
  onChange(listener: CallerListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(address: string): void {
    for (const listener of [...this.#listeners]) listener(address);
  }
}

function sameCaller(a: Caller, b: Caller): boolean {
  return (
    a.containerId === b.containerId &&
    a.startedAt === b.startedAt &&
    JSON.stringify(a.grant) === JSON.stringify(b.grant)
  );
}
