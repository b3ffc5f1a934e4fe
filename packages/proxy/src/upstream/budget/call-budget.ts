import type { Clock, Timer } from '@msi-proxy/shared';
import type { Random } from '../backoff.ts';
import { Deadlines, type Deadline } from '../deadlines.ts';
import { LANES, type Lane } from '../lane.ts';
import { FairQueue, type Turn } from './fair-queue.ts';
import { Pause, type PauseCause } from './pause.ts';
import { RateWindow } from './rate-window.ts';

/** `background` calls go only when no other waits. */
export type Priority = 'client' | 'background';

/**
 * What a call showed about IMDS. After `throttled` (it wants fewer calls) and `unavailable` (it is away) all calls of the
 * lane wait for a while; after `unanswered` (there was no answer in time) only if no other was answered meanwhile;
 * `inconclusive` is about this call alone.
 */
export type CallVerdict = 'succeeded' | 'throttled' | 'unavailable' | 'unanswered' | 'inconclusive';

export interface Admission {
  /** When the call was let through, on the monotonic clock. */
  readonly atMillis: number;
  /** Must be called once, when the call has been answered or has failed. */
  end(verdict: CallVerdict): void;
}

/** A call that waits for its turn. */
export interface Ticket {
  /** `undefined` when the time was up before the call had its turn. */
  readonly admitted: Promise<Admission | undefined>;
  /** Another source waits for the same call: it goes when the first of them has its turn, and not as `background`. */
  alsoFor(source: string): void;
  /** Nobody waits any more, or not longer than to this moment. */
  expireAt(deadlineMillis: number): void;
}

export interface CallBudgetOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Identity calls each second; IMDS allows a VM 20. */
  readonly identityPerSecond: number;
  /** Identity calls at once; IMDS allows a VM 5. */
  readonly identityConcurrent: number;
  /** All other calls each second; IMDS allows a VM 5. */
  readonly generalPerSecond: number;
}

interface WaitingCall {
  readonly resolve: (admission: Admission | undefined) => void;
  deadline: Deadline | undefined;
}

interface LaneState {
  readonly rate: RateWindow;
  readonly concurrent: number;
  readonly pause: Pause;
  readonly waiting: Readonly<Record<Priority, FairQueue<WaitingCall>>>;
  underWay: number;
  /** Of each source whose turn it was. */
  readonly underWayOf: Map<string, number>;
  /** See {@link mayBegin}. */
  readonly mayTake: (source: string) => boolean;
  admittedAtMillis: number;
  succeededAtMillis: number;
}

/** Never more connections to IMDS than this, whatever for. */
export const MAX_UPSTREAM_SOCKETS = 5;

// A lane whose calls hang must leave connections to the others, whose calls may not.
const CONCURRENT_AFTER_PAUSE = MAX_UPSTREAM_SOCKETS - 2;

// So that scheduled events, whose first call takes minutes, and slow instance calls leave connections for tokens.
const GENERAL_CONCURRENT = 2;
const SCHEDULED_EVENTS_CONCURRENT = 2;

// IMDS answers within some 200 ms. A try that takes longer than this may hang, and must not keep those that would not.
const NEXT_TRY_MILLIS = 2_000;

/**
 * Shares out what IMDS gives to the whole VM ("Rate limiting" of the IMDS page): calls of a container wait for each
 * other, not for those of the other containers.
 */
export class CallBudget {
  readonly #clock: Clock;
  readonly #lanes: Readonly<Record<Lane, LaneState>>;
  /** In the order in which they have their turn when a connection becomes free. */
  readonly #turns: Lane[] = [...LANES];
  /** When calls that wait have waited too long. */
  readonly #deadlines: Deadlines;
  #underWay = 0;
  #wake: Timer | undefined;

  constructor(options: CallBudgetOptions) {
    const { clock, random, identityPerSecond, identityConcurrent, generalPerSecond } = options;
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock);
    const general = new RateWindow(generalPerSecond);
    const lane = (rate: RateWindow, concurrent: number): LaneState => {
      const underWayOf = new Map<string, number>();
      return {
        rate,
        concurrent,
        pause: new Pause(random),
        waiting: { client: new FairQueue(), background: new FairQueue() },
        underWay: 0,
        underWayOf,
        mayTake: mayBegin(concurrent, underWayOf),
        admittedAtMillis: Number.NEGATIVE_INFINITY,
        succeededAtMillis: Number.NEGATIVE_INFINITY,
      };
    };
    this.#lanes = {
      identity: lane(new RateWindow(identityPerSecond), identityConcurrent),
      general: lane(general, GENERAL_CONCURRENT),
      'scheduled-events': lane(general, SCHEDULED_EVENTS_CONCURRENT),
    };
  }

  /** The last that was heard of IMDS in this lane is that it is away. */
  isUnavailable(lane: Lane): boolean {
    return this.#lanes[lane].pause.cause === 'unavailable';
  }

  /** Calls of a lane that wait. */
  waiting(lane: Lane): number {
    const { client, background } = this.#lanes[lane].waiting;
    return client.size + background.size;
  }

  /**
   * @param source who wants it; sources take turns
   * @param deadlineMillis when its answer would be too late, on the monotonic clock
   */
  request(lane: Lane, source: string, priority: Priority, deadlineMillis: number): Ticket {
    const state = this.#lanes[lane];
    const { promise, resolve } = Promise.withResolvers<Admission | undefined>();
    const call: WaitingCall = { resolve, deadline: undefined };
    const ticket: Ticket = {
      admitted: promise,
      alsoFor: other => this.#join(state, call, other),
      expireAt: laterMillis => this.#expireAt(state, call, laterMillis),
    };
    const nowMillis = this.#clock.monotonicMillis();
    if (isHopeless(state, source, deadlineMillis, nowMillis)) {
      resolve(undefined);
      return ticket;
    }
    state.waiting[priority].add(source, call);
    this.#pump(nowMillis);
    this.#expireAt(state, call, deadlineMillis);
    return ticket;
  }

  #join({ waiting }: LaneState, call: WaitingCall, source: string): void {
    if (waiting.background.has(call)) {
      waiting.background.remove(call);
      waiting.client.add(source, call);
      this.#pump();
    } else if (waiting.client.has(call)) {
      waiting.client.add(source, call);
      this.#pump();
    }
  }

  #expireAt({ waiting }: LaneState, call: WaitingCall, deadlineMillis: number): void {
    this.#deadlines.cancel(call.deadline);
    if (!waiting.client.has(call) && !waiting.background.has(call)) return;
    call.deadline = this.#deadlines.add(deadlineMillis, () => {
      waiting.client.remove(call);
      waiting.background.remove(call);
      call.resolve(undefined);
      this.#pump();
    });
  }

  /** Lets through what may go, lane by lane in turn. */
  #pump(nowMillis = this.#clock.monotonicMillis()): void {
    // One reading of the clock for everything that is compared, or a lane could open between two looks at it.
    for (let lane = this.#nextLane(nowMillis); lane !== undefined; lane = this.#nextLane(nowMillis)) {
      const state = this.#lanes[lane];
      const turn = takeTurn(state);
      this.#toTheEnd(lane);
      if (turn !== undefined) this.#admit(state, turn, nowMillis);
    }
    this.#scheduleWake(nowMillis);
  }

  #toTheEnd(lane: Lane): void {
    if (this.#turns.at(-1) === lane) return;
    this.#turns.splice(this.#turns.indexOf(lane), 1);
    this.#turns.push(lane);
  }

  #nextLane(nowMillis: number): Lane | undefined {
    if (this.#underWay >= MAX_UPSTREAM_SOCKETS) return undefined;
    for (const lane of this.#turns) {
      const state = this.#lanes[lane];
      if (hasCallFor(state) && opensInMillis(state, nowMillis) === 0) return lane;
    }
    return undefined;
  }

  #admit(state: LaneState, { item: call, source }: Turn<WaitingCall>, atMillis: number): void {
    this.#deadlines.cancel(call.deadline);
    this.#underWay += 1;
    state.underWay += 1;
    count(state.underWayOf, source, 1);
    state.admittedAtMillis = atMillis;
    state.rate.began();
    let hasEnded = false;
    call.resolve({
      atMillis,
      end: verdict => {
        if (hasEnded) return;
        hasEnded = true;
        this.#underWay -= 1;
        state.underWay -= 1;
        count(state.underWayOf, source, -1);
        const endMillis = this.#clock.monotonicMillis();
        state.rate.ended(endMillis);
        if (verdict === 'succeeded') {
          state.pause.succeeded(atMillis);
          state.succeededAtMillis = endMillis;
        }
        const cause = causeOf(verdict, state.succeededAtMillis > atMillis);
        if (cause !== undefined) state.pause.begin(cause, atMillis, endMillis);
        this.#pump(endMillis);
      },
    });
  }

  /** Time opens a lane by itself: a pause ends, or a second has passed. */
  #scheduleWake(nowMillis: number): void {
    this.#wake?.cancel();
    this.#wake = undefined;
    if (this.#underWay >= MAX_UPSTREAM_SOCKETS) return;
    let delayMillis = Number.POSITIVE_INFINITY;
    for (const lane of LANES) {
      const state = this.#lanes[lane];
      if (hasCallFor(state))
        delayMillis = Math.min(delayMillis, opensInMillis(state, nowMillis) ?? delayMillis);
    }
    if (delayMillis === Number.POSITIVE_INFINITY) return;
    this.#wake = this.#clock.setTimer(() => this.#pump(), delayMillis);
  }
}

/** Its own line alone takes longer than the time it has, or the pause does. */
function isHopeless(
  { waiting, rate, pause }: LaneState,
  source: string,
  deadlineMillis: number,
  nowMillis: number,
): boolean {
  const leftMillis = deadlineMillis - nowMillis;
  const leastMillis = (waiting.client.lengthOf(source) / rate.perSecond - 1) * 1_000;
  return leftMillis <= 0 || leastMillis > leftMillis || pause.leftMillis(nowMillis) > leftMillis;
}

/**
 * Whose next call may be sent: not that of a source that has all places of the lane but one. Calls that hang cannot be taken
 * back when another source asks, so the last place is kept for others also while nobody else waits; what the lane allows in
 * a second is reached without it.
 */
function mayBegin(concurrent: number, underWayOf: ReadonlyMap<string, number>): (source: string) => boolean {
  const most = Math.max(1, concurrent - 1);
  return source => (underWayOf.get(source) ?? 0) < most;
}

function takeTurn(state: LaneState): Turn<WaitingCall> | undefined {
  const { pause, underWayOf, mayTake, waiting } = state;
  const { client, background } = waiting;
  // A try that hangs may be the fault of what it asks for.
  const hasNotTried = (source: string) => !underWayOf.has(source);
  const other = pause.cause === undefined ? undefined : client.take(hasNotTried);
  return other ?? client.take(mayTake) ?? background.take(mayTake);
}

function hasCallFor({ waiting, mayTake }: LaneState): boolean {
  return waiting.client.hasFor(mayTake) || waiting.background.hasFor(mayTake);
}

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const changed = (counts.get(key) ?? 0) + change;
  if (changed === 0) counts.delete(key);
  else counts.set(key, changed);
}

/** @param isAnswering IMDS has answered another call since this one was sent */
function causeOf(verdict: CallVerdict, isAnswering: boolean): PauseCause | undefined {
  switch (verdict) {
    case 'throttled':
    case 'unavailable':
      return verdict;
    case 'unanswered':
      return isAnswering ? undefined : 'unavailable';
    case 'succeeded':
    case 'inconclusive':
      return undefined;
  }
}

/** How long until a call may go: 0 when it may; `undefined` when a call under way has to end first. */
function opensInMillis(state: LaneState, nowMillis: number): number | undefined {
  const { rate, concurrent, pause, underWay } = state;
  const roomInMillis = rate.roomInMillis(nowMillis);
  const allowed = pause.cause === undefined ? concurrent : Math.min(concurrent, CONCURRENT_AFTER_PAUSE);
  if (underWay >= allowed || roomInMillis === undefined) return undefined;
  return Math.max(pause.leftMillis(nowMillis), nextTryInMillis(state, nowMillis), roomInMillis);
}

/** After a pause calls try one by one: the next when the one before has an answer, or seems to get none. */
function nextTryInMillis({ pause, underWay, admittedAtMillis }: LaneState, nowMillis: number): number {
  if (pause.cause === undefined || underWay === 0) return 0;
  return Math.max(0, admittedAtMillis + NEXT_TRY_MILLIS - nowMillis);
}
