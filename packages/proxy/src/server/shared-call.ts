import type { Clock, Timer } from '@msi-proxy/shared';
import type { Allowed } from '../authorize/authorize.ts';
import { filterUserData } from '../relay/user-data-filter.ts';
import type { CallOutcome, UpstreamCall } from '../upstream/upstream-calls.ts';
import type { Answered, AnswerReceiver, SharedAnswer } from './answer-source.ts';

/** One call to IMDS and everybody who waits for its answer: without a promise and a timer for each. */
export class SharedCall {
  readonly #call: UpstreamCall;
  readonly #clock: Clock;
  #sharers: Sharer[] = [];
  #timer: Timer | undefined;
  #wakeAtMillis = Number.POSITIVE_INFINITY;

  /** @param onEnd called when nobody can join any more */
  constructor(call: UpstreamCall, clock: Clock, onEnd: () => void) {
    this.#call = call;
    this.#clock = clock;
    call.outcome.then(
      outcome => {
        onEnd();
        this.#tell(this.#leaving(), () => outcome);
      },
      (error: unknown) => {
        onEnd();
        for (const { receiver } of this.#leaving()) receiver.failed(error);
      },
    );
  }

  /** @param deadlineMillis on the monotonic clock */
  share({
    source,
    deadlineMillis,
    userData,
  }: {
    readonly source: string;
    readonly deadlineMillis: number;
    readonly userData: Allowed['userData'];
  }): SharedAnswer {
    this.#call.join(source, deadlineMillis);
    return this.#sharer('shared', deadlineMillis, userData);
  }

  /** For the one for whom the call was begun. */
  first(deadlineMillis: number, userData: Allowed['userData']): SharedAnswer {
    return this.#sharer('upstream', deadlineMillis, userData);
  }

  #sharer(via: Sharer['via'], deadlineMillis: number, userData: Allowed['userData']): SharedAnswer {
    return {
      kind: 'shared',
      tell: receiver => {
        this.#sharers.push({ receiver, via, deadlineMillis, userData });
        this.#wakeAt(deadlineMillis);
      },
    };
  }

  /** Looks again at the moment at which the time of the first of them is up. */
  #wakeAt(deadlineMillis: number): void {
    if (deadlineMillis >= this.#wakeAtMillis) return;
    this.#timer?.cancel();
    this.#wakeAtMillis = deadlineMillis;
    const leftMillis = Math.max(0, deadlineMillis - this.#clock.monotonicMillis());
    this.#timer = this.#clock.setTimer(() => {
      const nowMillis = this.#clock.monotonicMillis();
      const late = this.#sharers.filter(sharer => sharer.deadlineMillis <= nowMillis);
      this.#sharers = this.#sharers.filter(sharer => sharer.deadlineMillis > nowMillis);
      this.#wakeAtMillis = Number.POSITIVE_INFINITY;
      for (const sharer of this.#sharers) this.#wakeAt(sharer.deadlineMillis);
      this.#tell(late, () => this.#call.soFar());
    }, leftMillis);
  }

  #leaving(): readonly Sharer[] {
    this.#timer?.cancel();
    const leaving = this.#sharers;
    this.#sharers = [];
    return leaving;
  }

  #tell(sharers: readonly Sharer[], outcomeOf: () => CallOutcome): void {
    const known = new Map<Allowed['userData'], Answered>();
    for (const { receiver, via, userData } of sharers) {
      let answered: Answered;
      try {
        answered = known.get(userData) ?? answeredBy(outcomeOf(), userData);
      } catch (error) {
        receiver.failed(error);
        continue;
      }
      known.set(userData, answered);
      receiver.answered(answered.kind === 'answer' && answered.via !== via ? { ...answered, via } : answered);
    }
  }
}

interface Sharer {
  readonly receiver: AnswerReceiver;
  readonly via: 'upstream' | 'shared';
  readonly deadlineMillis: number;
  readonly userData: Allowed['userData'];
}

function answeredBy(outcome: CallOutcome, userData: Allowed['userData']): Answered {
  if (outcome.kind === 'throttled') return outcome;
  const { answer, isReported } = filterUserData(outcome.answer, userData);
  return {
    kind: 'answer',
    answer,
    via: 'shared',
    ...(isReported && { wouldDeny: 'endpoint-not-granted' }),
  };
}
