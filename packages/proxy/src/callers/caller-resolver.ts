import type { Caller, Clock, Confirmed } from '@msi-proxy/shared';
import type { Waiting } from '../upstream/asked.ts';
import type { CallerEntry, CallerTable } from './caller-table.ts';

/**
 * `live`: the monitor is heard. `silent`: the session is open, but nothing comes through it, which means that the Docker
 * engine (or the monitor) hangs, or that the VM is very busy. `none`: no session.
 */
export type MonitorState = 'live' | 'silent' | 'none';

/** The monitor as the resolver needs it. */
export interface ConfirmationSource {
  readonly monitorState: MonitorState;
  /** Not heard, but it may be found out past the engine whether a caller that is known still has its address. */
  readonly canAskWitness: boolean;
  /**
   * Asks who has the address now. Rejects when the session ends before the answer. In silence, where the engine cannot be
   * asked, it is found out whether the known caller still has it: `engine-unresponsive` when that cannot be said.
   */
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
  /** As they are at the moment. */
  readonly limits: () => CallerLimits;
}

export interface CallerLimits {
  /** Age in milliseconds from which an entry must be confirmed before it is served. */
  readonly confirmAfterMillis: number;
  /** How long an address that nobody has named waits. */
  readonly callerWaitMillis: number;
  /** How long a request waits for a monitor that can confirm. */
  readonly holdMillis: number;
  /** Age up to which an entry is served in silence, although nobody vouches for it. */
  readonly silenceGraceMillis: number;
}

/** How long to wait, in milliseconds. */
interface Patience {
  /** For a monitor that can say who has the address. */
  readonly holdMillis: number;
  /** For a container to appear at an address of which the monitor says that nobody has it. */
  readonly appearMillis: number;
  /** If it does not wait to the end. */
  readonly client?: Waiting | undefined;
}

interface Question {
  readonly askedAtMillis: number;
  readonly answer: Promise<Answer>;
}

/**
 * `inconclusive`: the session ended before the answer, or the address changed hands while it was under way, so that
 * nobody knows which came first.
 */
type Answer = Confirmed['result'] | { readonly kind: 'inconclusive' };

/** `changed`: somebody else is at the address, or the monitor is in another state. */
type Wake = { readonly kind: 'changed' | 'stopping' | 'time-up' | 'client-left' };

// In silence; frequent enough that a request is served soon after it is back.
const ASK_AGAIN_MILLIS = 500;

// A monitor that has not found out by then says nothing any more; the next question may find a better moment.
const ASK_ANEW_MILLIS = 10_000;

// A live monitor answers in milliseconds.
const STOP_PATIENCE_MILLIS = 1_000;

/**
 * Finds out who is behind a source address, and makes sure that it still is: Docker gives a freed address to the next
 * container at once, and the event that says so can be lost. So an entry is served only if it was confirmed a moment
 * ago. See docs/adr/0004.
 */
export class CallerResolver {
  readonly #options: CallerResolverOptions;
  /** The latest question about each address, so that a burst of requests from one asks once. */
  readonly #questions = new Map<string, Question>();
  /** Tells each request that waits of the stop. */
  readonly #waiters = new Set<() => void>();
  #isStopping = false;

  constructor(options: CallerResolverOptions) {
    this.#options = options;
  }

  /**
   * The caller at once if it was confirmed a moment ago: the way of nearly all requests. Asks ahead for one that keeps
   * asking, so that none of its requests has to wait for the next confirmation.
   */
  fresh(address: string): Caller | undefined {
    const { table, monitor, limits } = this.#options;
    const { confirmAfterMillis } = limits();
    const entry = table.get(address);
    if (entry === undefined) return undefined;
    const ageMillis = this.#ageMillis(entry);
    if (ageMillis > confirmAfterMillis) return undefined;
    if (
      ageMillis > confirmAfterMillis / 2 &&
      !this.#questions.has(address) &&
      monitor.monitorState === 'live'
    ) {
      void this.#ask(address);
    }
    return entry.caller;
  }

  /** Whether it was confirmed a moment ago who has the address. */
  isConfirmed(address: string): boolean {
    const entry = this.#options.table.get(address);
    return entry !== undefined && this.#ageMillis(entry) <= this.#options.limits().confirmAfterMillis;
  }

  /**
   * Waits as long as a request may wait: for a container that is just starting, or for a monitor to be back.
   *
   * @param client for whom nothing is held any more when it leaves
   */
  async resolve(address: string, client?: Waiting): Promise<Resolution> {
    const { holdMillis, callerWaitMillis } = this.#options.limits();
    return await this.#resolve(address, { holdMillis, appearMillis: callerWaitMillis, client });
  }

  /** Says how it is now, for those who ask again by themselves. Waits only for the monitor's answer, and not long. */
  async resolveSoon(address: string): Promise<Resolution> {
    const isAsked = this.#options.monitor.monitorState !== 'none';
    return await this.#resolve(address, {
      holdMillis: isAsked ? this.#options.limits().callerWaitMillis : 0,
      appearMillis: 0,
    });
  }

  /** Requests wait no more, now and later, except a moment for the answer of a monitor that is there. */
  stop(): void {
    this.#isStopping = true;
    for (const stop of [...this.#waiters]) stop();
  }

  async #resolve(address: string, patience: Patience): Promise<Resolution> {
    const { clock } = this.#options;
    const startMillis = clock.monotonicMillis();
    let isNobody = false;
    let hasAskedInStop = false;
    for (;;) {
      if (patience.client?.hasLeft === true) return { kind: 'unavailable', reason: 'the client has left' };
      const known = this.fresh(address) ?? this.#servedInSilence(address);
      if (known !== undefined) return { kind: 'known', caller: known };

      const asks = this.#canBeAsked(address) && !isNobody;
      if (this.#isStopping) {
        if (hasAskedInStop || !asks) return { kind: 'unavailable', reason: 'the proxy is stopping' };
        hasAskedInStop = true;
      }
      const waitedMillis = clock.monotonicMillis() - startMillis;
      const leftMillis = (isNobody ? patience.appearMillis : patience.holdMillis) - waitedMillis;
      if (leftMillis <= 0) return isNobody ? { kind: 'nobody' } : this.#unavailable();

      const waitMillis = Math.min(leftMillis, hasAskedInStop ? STOP_PATIENCE_MILLIS : ASK_ANEW_MILLIS);
      const wait = (millis: number, answer?: Promise<Answer>) =>
        this.#wait({ address, timeoutMillis: millis, client: patience.client, answer });
      const outcome = await wait(waitMillis, asks ? this.#ask(address) : undefined);
      switch (outcome.kind) {
        case 'caller':
          return { kind: 'known', caller: outcome.caller };
        case 'nobody':
          isNobody = true;
          break;
        case 'engine-unresponsive': {
          // Where the session has ended, so may have the monitor, and nobody follows Docker.
          const held = this.#options.monitor.monitorState === 'none' ? undefined : this.#withinGrace(address);
          if (held !== undefined) return { kind: 'known', caller: held };
          await wait(Math.min(leftMillis, ASK_AGAIN_MILLIS));
          break;
        }
        case 'changed':
          isNobody = false;
          break;
        case 'inconclusive':
        case 'client-left':
        case 'stopping':
        case 'time-up':
          break;
      }
    }
  }

  #ask(address: string): Promise<Answer> {
    const { monitor, table, clock, limits } = this.#options;
    const { confirmAfterMillis } = limits();
    const nowMillis = clock.monotonicMillis();
    const asked = this.#questions.get(address);
    // The answer to an older question may tell of a time that is too long ago.
    if (asked !== undefined && nowMillis - asked.askedAtMillis <= confirmAfterMillis) return asked.answer;

    const before = table.get(address)?.caller;
    const answer = monitor.confirm(address).then(
      (result): Answer => {
        if (table.get(address)?.caller !== before) return { kind: 'inconclusive' };
        // The monitor looked some time after it was asked; it is certain only that it was not before.
        if (result.kind === 'caller') table.confirm(result.caller, nowMillis);
        if (result.kind === 'nobody') table.remove(address);
        return result;
      },
      (): Answer => ({ kind: 'inconclusive' }),
    );
    const question = { askedAtMillis: nowMillis, answer };
    this.#questions.set(address, question);
    void answer.finally(() => {
      if (this.#questions.get(address) === question) this.#questions.delete(address);
    });
    return answer;
  }

  /** In silence nobody can name a caller that is not known; the first word that is heard ends the waiting for one. */
  #canBeAsked(address: string): boolean {
    const { monitor, table } = this.#options;
    return monitor.monitorState === 'live' || (monitor.canAskWitness && table.get(address) !== undefined);
  }

  #servedInSilence(address: string): Caller | undefined {
    return this.#options.monitor.monitorState === 'silent' ? this.#withinGrace(address) : undefined;
  }

  /** By choice of the operator: an engine that hangs gives no address to another container, but a slow one does. */
  #withinGrace(address: string): Caller | undefined {
    const entry = this.#options.table.get(address);
    return entry !== undefined && this.#ageMillis(entry) <= this.#options.limits().silenceGraceMillis
      ? entry.caller
      : undefined;
  }

  #ageMillis(entry: CallerEntry): number {
    return this.#options.clock.monotonicMillis() - entry.confirmedAtMillis;
  }

  #unavailable(): Resolution {
    const reasons = {
      none: 'no monitor is connected to the proxy',
      silent: 'the monitor does not answer',
      live: 'the monitor could not confirm the caller in time',
    };
    return { kind: 'unavailable', reason: reasons[this.#options.monitor.monitorState] };
  }

  /**
   * Waits for the answer, for somebody else at the address, for a change of the monitor, for the client to leave, or for the
   * time.
   */
  async #wait({
    address,
    timeoutMillis,
    client,
    answer,
  }: {
    readonly address: string;
    readonly timeoutMillis: number;
    readonly client: Waiting | undefined;
    readonly answer: Promise<Answer> | undefined;
  }): Promise<Answer | Wake> {
    const { table, monitor, clock } = this.#options;
    const { promise, resolve } = Promise.withResolvers<Wake>();
    const wake = () => resolve({ kind: 'changed' });
    const stop = () => resolve({ kind: 'stopping' });
    const timer = clock.setTimer(() => resolve({ kind: 'time-up' }), timeoutMillis);
    const endTable = table.onChange(changed => {
      // Nobody is served because an address became free; and the answer that frees it must itself be heard.
      if (changed === address && table.get(address) !== undefined) wake();
    });
    const endMonitor = monitor.onMonitorStateChange(wake);
    const endClient = client?.onLeave(() => resolve({ kind: 'client-left' }));
    this.#waiters.add(stop);
    try {
      return await (answer === undefined ? promise : Promise.race([answer, promise]));
    } finally {
      timer.cancel();
      endTable();
      endMonitor();
      endClient?.();
      this.#waiters.delete(stop);
    }
  }
}
