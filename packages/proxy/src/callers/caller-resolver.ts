import type { Caller, Clock, Confirmed } from '@msi-proxy/shared';
import type { CallerEntry, CallerTable } from './caller-table.ts';

/**
 * `live`: the monitor is heard. `silent`: the session is open, but nothing comes through it, which means that the Docker
 * engine (or the monitor) hangs. `none`: no session.
 */
export type MonitorState = 'live' | 'silent' | 'none';

/** The monitor as the resolver needs it. */
export interface ConfirmationSource {
  readonly monitorState: MonitorState;
  /** Asks who has the address now. Rejects when the session ends before the answer. */
  confirm(address: string): Promise<Confirmed['result']>;
  /** @returns a function that ends the subscription */
  onMonitorStateChange(listener: () => void): () => void;
}

export type Resolution =
  | { readonly kind: 'known'; readonly caller: Caller }
  /** No container has the address. */
  | { readonly kind: 'nobody' }
  /** Nobody can say at the moment; `reason` in words. */
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface CallerResolverOptions {
  readonly table: CallerTable;
  readonly monitor: ConfirmationSource;
  readonly clock: Clock;
  /** Age in milliseconds from which an entry must be confirmed before it is served. */
  readonly confirmAfterMillis: number;
  /** How long an address that nobody has named waits. */
  readonly callerWaitMillis: number;
  /** How long a request waits for a monitor that can confirm. */
  readonly holdMillis: number;
  /** Age up to which an entry is served while the engine hangs. */
  readonly silenceGraceMillis: number;
}

/**
 * Finds out who is behind a source address, and makes sure that it still is: Docker gives a freed address to the next
 * container at once, and the event that says so can be lost. So an entry is served only if it was confirmed a moment
 * ago. See docs/adr/0004.
 */
export class CallerResolver {
  readonly #options: CallerResolverOptions;
  /** Confirmations under way, so that a burst of requests from one address asks once. */
  readonly #asking = new Map<string, Promise<Confirmed['result']>>();

  constructor(options: CallerResolverOptions) {
    this.#options = options;
  }

  /** The caller at once if it was confirmed a moment ago: the way of nearly all requests. */
  fresh(address: string): Caller | undefined {
    const entry = this.#options.table.get(address);
    return entry !== undefined && this.#ageMillis(entry) <= this.#options.confirmAfterMillis
      ? entry.caller
      : undefined;
  }

  async resolve(address: string): Promise<Resolution> {
    const { table, monitor, clock, callerWaitMillis, holdMillis } = this.#options;
    const startMillis = clock.monotonicMillis();
    let answered = false;
    for (;;) {
      const known = this.fresh(address) ?? this.#servedInSilence(address);
      if (known !== undefined) return { kind: 'known', caller: known };

      const waitedMillis = clock.monotonicMillis() - startMillis;
      // Once the monitor has said that it knows nobody there, only a container that is just starting can still appear.
      const leftMillis = (answered ? callerWaitMillis : holdMillis) - waitedMillis;
      if (leftMillis <= 0)
        return answered ? { kind: 'nobody' } : { kind: 'unavailable', reason: this.#whyNot() };

      const changed = this.#change(address, leftMillis);
      try {
        if (monitor.monitorState === 'live' && !answered) {
          const result = await Promise.race([this.#ask(address), changed.promise]);
          if (result !== undefined) {
            if (result.kind === 'engine-unresponsive') {
              const entry = table.get(address);
              if (entry !== undefined && this.#isWithinGrace(entry))
                return { kind: 'known', caller: entry.caller };
              await changed.promise;
            }
            answered = result.kind === 'nobody';
            // A caller that was confirmed is in the table now; if its time is 0, it is as fresh as it can be.
            if (result.kind === 'caller') return { kind: 'known', caller: result.caller };
          }
        } else {
          await changed.promise;
        }
      } finally {
        changed.cancel();
      }
    }
  }

  #ask(address: string): Promise<Confirmed['result'] | undefined> {
    const { monitor, table } = this.#options;
    let asking = this.#asking.get(address);
    if (asking === undefined) {
      asking = monitor.confirm(address).then(result => {
        if (result.kind === 'caller') table.confirm(result.caller);
        if (result.kind === 'nobody') table.remove(address);
        return result;
      });
      this.#asking.set(address, asking);
      const forget = () => this.#asking.delete(address);
      asking.then(forget, forget);
    }
    // A session that ends leaves the question open; the change of state wakes those who wait.
    return asking.catch(() => new Promise<undefined>(() => undefined));
  }

  #servedInSilence(address: string): Caller | undefined {
    if (this.#options.monitor.monitorState !== 'silent') return undefined;
    const entry = this.#options.table.get(address);
    return entry !== undefined && this.#isWithinGrace(entry) ? entry.caller : undefined;
  }

  #isWithinGrace(entry: CallerEntry): boolean {
    return this.#ageMillis(entry) <= this.#options.silenceGraceMillis;
  }

  #ageMillis(entry: CallerEntry): number {
    return this.#options.clock.monotonicMillis() - entry.confirmedAtMillis;
  }

  #whyNot(): string {
    switch (this.#options.monitor.monitorState) {
      case 'none':
        return 'no monitor is connected to the proxy';
      case 'silent':
        return 'the monitor does not answer';
      case 'live':
        return 'the monitor could not confirm the caller in time';
    }
  }

  /** Settles when something about the address or the monitor changes, or the time is up. */
  #change(address: string, timeoutMillis: number): { promise: Promise<undefined>; cancel: () => void } {
    const { table, monitor, clock } = this.#options;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const done = () => resolve(undefined);
    const timer = clock.setTimer(done, timeoutMillis);
    const endTable = table.onChange(changed => {
      if (changed === address) done();
    });
    const endMonitor = monitor.onMonitorStateChange(done);
    const cancel = () => {
      timer.cancel();
      endTable();
      endMonitor();
    };
    return { promise, cancel };
  }
}
