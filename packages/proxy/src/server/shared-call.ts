import type { Clock, Timer } from '@msi-proxy/shared';
import type { ErrorShape } from '@msi-proxy/shared/http';
import type { Allowed } from '../authorize/authorize.ts';
import type { Waiting } from '../upstream/asked.ts';
import { clientLeft } from '../upstream/upstream-failure.ts';
import type { CallOutcome, UpstreamCall } from '../upstream/upstream-calls.ts';
import type { Answered, AnswerReceiver, SharedAnswer } from './answer-source.ts';
import { passedOn } from './passed-on.ts';

export interface Sharing {
  /** On the monotonic clock. */
  readonly deadlineMillis: number;
  /** The same for all who share the call. */
  readonly errorShape: ErrorShape;
  readonly userData: Allowed['userData'];
  readonly client: Waiting;
}

/** One call to IMDS and everybody who waits for its answer: without a promise and a timer for each. */
export class SharedCall {
  readonly #call: UpstreamCall;
  readonly #clock: Clock;
  readonly #sharers = new Set<Sharer>();
  #timer: Timer | undefined;
  #wakeAtMillis = Number.POSITIVE_INFINITY;

  /** @param onEnd called when nobody can join any more */
  constructor(call: UpstreamCall, clock: Clock, onEnd: () => void) {
    this.#call = call;
    this.#clock = clock;
    call.outcome.then(
      outcome => {
        onEnd();
        this.#tell(this.#takeAll(), () => outcome);
      },
      (error: unknown) => {
        onEnd();
        for (const { receiver } of this.#takeAll()) receiver.failed(error);
      },
    );
  }

  share(source: string, sharing: Sharing): SharedAnswer {
    this.#call.join(source, sharing.deadlineMillis);
    return this.#sharer('shared', sharing);
  }

  /** For the one for whom the call was begun. */
  first(sharing: Sharing): SharedAnswer {
    return this.#sharer('upstream', sharing);
  }

  #sharer(via: Sharer['via'], { client, ...sharing }: Sharing): SharedAnswer {
    return {
      kind: 'shared',
      tell: receiver => {
        if (client.hasLeft) {
          receiver.failed(clientLeft());
          return;
        }
        const stopListening = client.onLeave(() => this.#leave(sharer));
        const sharer: Sharer = { receiver, via, ...sharing, stopListening };
        this.#sharers.add(sharer);
        this.#wakeAt(sharing.deadlineMillis);
      },
    };
  }

  #leave(sharer: Sharer): void {
    this.#sharers.delete(sharer);
    if (this.#sharers.size === 0) this.#sleep();
    sharer.receiver.failed(clientLeft());
  }

  /** Looks again at the moment at which the time of the first of them is up. */
  #wakeAt(deadlineMillis: number): void {
    if (deadlineMillis >= this.#wakeAtMillis) return;
    this.#timer?.cancel();
    this.#wakeAtMillis = deadlineMillis;
    const leftMillis = Math.max(0, deadlineMillis - this.#clock.monotonicMillis());
    this.#timer = this.#clock.setTimer(() => {
      const nowMillis = this.#clock.monotonicMillis();
      const late = this.#take(sharer => sharer.deadlineMillis <= nowMillis);
      this.#wakeAtMillis = Number.POSITIVE_INFINITY;
      for (const sharer of this.#sharers) this.#wakeAt(sharer.deadlineMillis);
      this.#tell(late, () => this.#call.soFar());
    }, leftMillis);
  }

  #sleep(): void {
    this.#timer?.cancel();
    this.#wakeAtMillis = Number.POSITIVE_INFINITY;
  }

  #takeAll(): readonly Sharer[] {
    this.#sleep();
    return this.#take(() => true);
  }

  #take(condition: (sharer: Sharer) => boolean): readonly Sharer[] {
    const taken = [...this.#sharers].filter(condition);
    for (const sharer of taken) {
      this.#sharers.delete(sharer);
      sharer.stopListening();
    }
    return taken;
  }

  #tell(sharers: readonly Sharer[], outcomeOf: () => CallOutcome): void {
    const known = new Map<Allowed['userData'], Answered>();
    for (const { receiver, via, errorShape, userData } of sharers) {
      let answered: Answered;
      try {
        answered = known.get(userData) ?? answeredBy(outcomeOf(), { errorShape, userData });
      } catch (error) {
        receiver.failed(error);
        continue;
      }
      known.set(userData, answered);
      receiver.answered(answered.kind === 'answer' && answered.via !== via ? { ...answered, via } : answered);
    }
  }
}

interface Sharer extends Omit<Sharing, 'client'> {
  readonly receiver: AnswerReceiver;
  readonly via: 'upstream' | 'shared';
  readonly stopListening: () => void;
}

function answeredBy(
  outcome: CallOutcome,
  { errorShape, userData }: Pick<Sharing, 'errorShape' | 'userData'>,
): Answered {
  if (outcome.kind === 'throttled') return outcome;
  return passedOn(outcome.answer, { method: 'GET', errorShape, userData, via: 'shared' });
}
