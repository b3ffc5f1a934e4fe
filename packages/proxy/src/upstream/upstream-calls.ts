import { MsiProxyError, type Clock } from '@msi-proxy/shared';
import { backoffMillis, type Random } from './backoff.ts';
import type { CallBudget, Priority, Ticket } from './budget/call-budget.ts';
import { judgeAnswer, judgeFailure, type Judgement } from './judgement.ts';
import type { Lane } from './lane.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';
import { upstreamFailure, upstreamTimeout } from './upstream-failure.ts';

export interface CallOptions {
  readonly lane: Lane;
  /** Who wants the answer; sources take turns. */
  readonly source: string;
  readonly priority: Priority;
  /** When the answer would be too late, on the monotonic clock. */
  readonly deadlineMillis: number;
  /** How long one try may take, if not all the time there is: where one hangs, another may have an answer. */
  readonly longestTryMillis?: number;
  /** The same call may be sent again after a failure. */
  readonly isRepeatable: boolean;
  /** A 404 means "being updated", not "no such thing". */
  readonly isUpdatedWhenNotFound: boolean;
  /** What else an answer must be; one that is not is asked for again. */
  readonly isUsable?: (answer: UpstreamAnswer) => boolean;
  /** Sends it once. Rejects with an `MsiProxyError`. */
  readonly send: (timeoutMillis: number) => Promise<UpstreamAnswer>;
}

export type CallOutcome =
  | { readonly kind: 'answered'; readonly answer: UpstreamAnswer }
  /** The budget of the VM does not suffice for an answer in time; nothing was sent. */
  | { readonly kind: 'throttled' };

/** A call under way, with all its tries. */
export interface UpstreamCall {
  /**
   * Rejects with an `MsiProxyError` when the last try did, or when IMDS is away and there is no time for a try.
   */
  readonly outcome: Promise<CallOutcome>;
  /** Another source waits for the same answer, to this moment. */
  join(source: string, deadlineMillis: number): void;
  /**
   * What it has come to, for those who cannot wait for the end.
   *
   * @throws {MsiProxyError} as {@link outcome}
   */
  soFar(): CallOutcome;
}

export interface UpstreamCallsOptions {
  readonly budget: CallBudget;
  readonly clock: Clock;
  readonly random: Random;
  /** Told of each try: what IMDS answered, if anything, and how long it took. */
  readonly onTry?: (status: number | undefined, durationMillis: number) => void;
}

/** Sends calls within the VM's budget, and again after failures that pass, as long as somebody waits. */
export class UpstreamCalls {
  readonly #options: UpstreamCallsOptions;

  constructor(options: UpstreamCallsOptions) {
    this.#options = options;
  }

  start(options: CallOptions): UpstreamCall {
    return new RepeatedCall(this.#options, options);
  }
}

/** What the last try came to, in case that there is no time for another. */
type Try =
  | { readonly kind: 'answered'; readonly answer: UpstreamAnswer }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** It had its turn at the last moment only: the budget, not IMDS, kept it from its answer. */
  | { readonly kind: 'late' };

class RepeatedCall implements UpstreamCall {
  readonly outcome: Promise<CallOutcome>;
  readonly #budget: CallBudget;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #onTry: UpstreamCallsOptions['onTry'];
  readonly #options: CallOptions;
  /** Who else waits for it. */
  #others: Set<string> | undefined;
  #priority: Priority;
  #deadlineMillis: number;
  readonly #startedAtMillis: number;
  #ticket: Ticket | undefined;
  #last: Try | undefined;
  #sentAtMillis: number | undefined;

  constructor({ budget, clock, random, onTry }: UpstreamCallsOptions, options: CallOptions) {
    this.#budget = budget;
    this.#clock = clock;
    this.#random = random;
    this.#onTry = onTry;
    this.#options = options;
    this.#priority = options.priority;
    this.#deadlineMillis = options.deadlineMillis;
    this.#startedAtMillis = clock.monotonicMillis();
    this.outcome = this.#run();
  }

  join(source: string, deadlineMillis: number): void {
    (this.#others ??= new Set()).add(source);
    this.#priority = 'client';
    this.#deadlineMillis = Math.max(this.#deadlineMillis, deadlineMillis);
    this.#ticket?.alsoFor(source);
    this.#ticket?.expireAt(this.#deadlineMillis);
  }

  soFar(): CallOutcome {
    if (this.#last !== undefined) return endedBy(this.#last);
    if (this.#sentAtMillis !== undefined) {
      const sinceMillis = this.#clock.monotonicMillis() - this.#sentAtMillis;
      if (!this.#isLate(sinceMillis)) throw upstreamTimeout('no answer', Math.round(sinceMillis));
    }
    if (this.#budget.isUnavailable(this.#options.lane)) {
      throw upstreamFailure(new Error('it has been away, and has not been tried again yet'));
    }
    return { kind: 'throttled' };
  }

  // In one function: most calls are one try, and each further promise would be made for all of them.
  async #run(): Promise<CallOutcome> {
    const { isRepeatable, longestTryMillis = Number.POSITIVE_INFINITY, send } = this.#options;
    for (let failures = 0; ; failures += 1) {
      this.#ticket = this.#request();
      const admission = await this.#ticket.admitted;
      this.#ticket = undefined;
      if (admission === undefined) return this.soFar();
      const nowMillis = this.#clock.monotonicMillis();
      const timeoutMillis = Math.max(1, Math.min(this.#deadlineMillis - nowMillis, longestTryMillis));
      this.#sentAtMillis = nowMillis;
      let judgement: Judgement;
      try {
        judgement = this.#judge(await send(timeoutMillis));
      } catch (error) {
        judgement = this.#judgeFailure(error, timeoutMillis);
      }
      const { verdict, isFinal } = judgement;
      admission.end(verdict);
      if (isFinal || !isRepeatable) return endedBy(this.#last!);
      // What concerns the lane is waited for there.
      if (verdict === 'throttled' || verdict === 'unavailable') continue;
      const delayMillis = backoffMillis(failures, this.#random);
      if (delayMillis >= this.#leftMillis) return endedBy(this.#last!);
      await this.#sleep(delayMillis);
    }
  }

  #request(): Ticket {
    const { lane, source } = this.#options;
    const ticket = this.#budget.request(lane, source, this.#priority, this.#deadlineMillis);
    if (this.#others !== undefined) for (const other of this.#others) ticket.alsoFor(other);
    return ticket;
  }

  #judge(answer: UpstreamAnswer): Judgement {
    const { isUpdatedWhenNotFound, isUsable } = this.#options;
    this.#tell(answer.status);
    const { isFinal, verdict } = judgeAnswer(answer, isUpdatedWhenNotFound);
    const isUsed = isUsable === undefined || isUsable(answer);
    this.#last = { kind: 'answered', answer };
    return { isFinal: isFinal && isUsed, verdict };
  }

  #judgeFailure(error: unknown, timeoutMillis: number): Judgement {
    this.#tell(undefined);
    const hasTimedOut = error instanceof MsiProxyError && error.code === 'MSI_UPSTREAM_TIMEOUT';
    // Not when it waited because IMDS is away.
    const isLate =
      hasTimedOut && this.#isLate(timeoutMillis) && !this.#budget.isUnavailable(this.#options.lane);
    this.#last = isLate ? { kind: 'late' } : { kind: 'failed', error };
    return judgeFailure(error, timeoutMillis);
  }

  #tell(status: number | undefined): void {
    this.#onTry?.(status, this.#clock.monotonicMillis() - this.#sentAtMillis!);
  }

  /** It waited longer for its turn than for an answer then. */
  #isLate(answerMillis: number): boolean {
    return answerMillis < this.#sentAtMillis! - this.#startedAtMillis;
  }

  get #leftMillis(): number {
    return this.#deadlineMillis - this.#clock.monotonicMillis();
  }

  async #sleep(millis: number): Promise<void> {
    await new Promise<void>(resolve => {
      this.#clock.setTimer(resolve, millis);
    });
  }
}

function endedBy(last: Try): CallOutcome {
  switch (last.kind) {
    case 'answered':
      return last;
    case 'failed':
      throw last.error;
    case 'late':
      return { kind: 'throttled' };
  }
}
