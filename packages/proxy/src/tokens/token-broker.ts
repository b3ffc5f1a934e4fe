import {
  formatIdentity,
  MAX_GIVEN_TOKENS,
  MsiProxyError,
  sameIdentity,
  type Clock,
  type GivenToken,
  type IdentityRef,
  type Logger,
} from '@msi-proxy/shared';
import type { Random } from '../upstream/backoff.ts';
import type { Priority } from '../upstream/budget/call-budget.ts';
import type { Waiting } from '../upstream/asked.ts';
import { SharedPromise, TIME_UP } from '../upstream/shared-promise.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import type { UpstreamCall, UpstreamCalls } from '../upstream/upstream-calls.ts';
import { guardRefusalInWords, isGuardRefusal } from './guard-refusal.ts';
import { HttpDate } from './http-date.ts';
import { refreshDelayMillis, refreshRetryMillis } from './refresh-rule.ts';
import { RefusalMemory } from './refusal-memory.ts';
import { parseObject, TokenAnswer } from './token-answer.ts';
import { TokenCache, TokenEntry, type TokenCacheOptions } from './token-cache.ts';
import { canBelongTo } from './token-claims.ts';
import { listTokens, type TokenList } from './token-list.ts';
import type { TokenRequest } from './token-request.ts';

/** How an answer came about: by a call for this request, by one that another request had begun, or by none. */
export type Via = 'upstream' | 'shared' | 'cache';

export type TokenOutcome =
  | { readonly kind: 'answer'; readonly answer: UpstreamAnswer; readonly via: Via }
  /** The budget of the VM does not suffice for an answer in time. */
  | { readonly kind: 'throttled' }
  /** IMDS has picked an identity that is not the one that was meant. */
  | { readonly kind: 'other-identity' };

export interface TokenBrokerOptions extends TokenCacheOptions {
  readonly calls: UpstreamCalls;
  /** Asks IMDS once. Rejects with an `MsiProxyError`. */
  readonly send: (target: string, timeoutMillis: number) => Promise<UpstreamAnswer>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface TokenWaiter {
  /** Whose turn in the budget it is. */
  readonly source: string;
  /** When the answer would be too late, on the monotonic clock. */
  readonly deadlineMillis: number;
  readonly client?: Waiting;
}

/** One call to IMDS and everybody who waits for it. */
interface Flight {
  readonly call: UpstreamCall;
  readonly landed: Promise<Landing>;
  /** The same, for clients. */
  readonly landing: SharedPromise<Landing>;
}

/** A call to IMDS, when it begins. */
interface Asking {
  readonly request: TokenRequest;
  /** Calls are numbered as they begin. */
  readonly order: number;
  /** In whose name. */
  readonly source: string;
}

type Landing =
  | { readonly kind: 'token'; readonly entry: TokenEntry }
  | { readonly kind: 'refusal'; readonly answer: UpstreamAnswer }
  | { readonly kind: 'throttled' };

/** In whose name tokens are refreshed. */
const OWN_SOURCE = 'msi-proxy';

// Nobody waits for these, but a call that never ends would keep its place.
const BACKGROUND_DEADLINE_MILLIS = 30_000;

// Clients may join, and have no longer themselves.
const BACKGROUND_TRY_MILLIS = 10_000;

// Time for somebody who is called to do something before clients notice.
const NEAR_EXPIRY_SECONDS = 600;

const LONGEST_TIMER_MILLIS = 2 ** 31 - 1;

/**
 * Gets tokens for many containers with few calls: what is valid is given again, what is being asked is not asked twice,
 * and what is used is renewed before it ends. See docs/adr/0011.
 */
export class TokenBroker {
  readonly #options: TokenBrokerOptions;
  readonly #cache: TokenCache;
  readonly #refusals: RefusalMemory;
  readonly #flights = new Map<string, Flight>();
  readonly #date = new HttpDate();
  #flightsBegun = 0;
  /** Calls up to this one began before the last flush: their answers are for those who wait for them. */
  #flushedOrder = 0;
  /** To the proxy that stands by, the last time. */
  #named: ReadonlySet<string> = new Set();

  constructor(options: TokenBrokerOptions) {
    this.#options = options;
    this.#cache = new TokenCache(options);
    this.#refusals = new RefusalMemory(options.clock);
  }

  /**
   * @throws {MsiProxyError} `MSI_UPSTREAM_*`, when IMDS gave no answer that can be passed on; `MSI_CLIENT_LEFT`
   */
  async get(request: TokenRequest, waiter: TokenWaiter): Promise<TokenOutcome> {
    const kept = this.kept(request, waiter.source);
    if (kept !== undefined) return kept;
    const { flight, isNew } = this.#join(request, waiter);
    const landing = await this.#landingBy(waiter, flight);
    const via = isNew ? 'upstream' : 'shared';
    switch (landing.kind) {
      case 'throttled':
        return landing;
      case 'refusal':
        return { kind: 'answer', answer: landing.answer, via };
      case 'token':
        return this.#give(landing.entry, request, { via, holder: waiter.source });
    }
  }

  /**
   * What can be given without asking IMDS.
   *
   * @param holder id of the container that it is for
   * @throws {MsiProxyError} `MSI_UPSTREAM_WRONG_IDENTITY`
   */
  kept(request: TokenRequest, holder: string): TokenOutcome | undefined {
    if (request.bypassesCache) return undefined;
    const entry = this.#cache.get(request.plainTarget);
    if (entry !== undefined) {
      entry.hits += 1;
      if (entry.isDue) this.#refresh(entry);
      return this.#give(entry, request, { via: 'cache', holder });
    }
    const answer = this.#refusals.get(request.plainTarget);
    return answer && { kind: 'answer', answer, via: 'cache' };
  }

  /** Gets a token that somebody will probably ask for, when nothing else is to do. */
  prefetch(request: TokenRequest, source: string): void {
    if (this.#cache.get(request.plainTarget) !== undefined || this.#flights.has(request.target)) return;
    if (this.#refusals.get(request.plainTarget) !== undefined) return;
    this.#beginInBackground(request, source);
  }

  /**
   * Has a token at hand that is no older than another proxy's, although nobody asks for it here.
   *
   * @param sinceMillis when the other proxy got its own, by the wall clock
   * @returns whether IMDS was asked; never rejects
   */
  async keepReady(request: TokenRequest, sinceMillis: number): Promise<boolean> {
    const entry = this.#cache.peek(request.plainTarget);
    if (entry !== undefined && entry.receivedAtWallMillis >= sinceMillis) return false;
    if (this.#refusals.get(request.plainTarget) !== undefined) return false;
    await this.#beginInBackground(request, OWN_SOURCE).landed.catch(() => undefined);
    return true;
  }

  /** Keeps these only. */
  retain(plainTargets: ReadonlySet<string>): void {
    this.#cache.deleteWhere(({ request }) => !plainTargets.has(request.plainTarget));
  }

  /**
   * What was asked for last, for a proxy that stands by; no token bytes. Those that were named the last time come first while
   * they are valid: with more than it may name it would else name others each time, and the other proxy ask for all of them.
   */
  given(): GivenToken[] {
    const valid = this.#cache.entries().filter(({ leftSeconds }) => leftSeconds > 0);
    const { named = [], others = [] } = Object.groupBy(valid, ({ request }) =>
      this.#named.has(request.plainTarget) ? 'named' : 'others',
    );
    const chosen = [...named, ...others].slice(0, MAX_GIVEN_TOKENS);
    this.#named = new Set(chosen.map(({ request }) => request.plainTarget));
    return chosen
      .map(({ request, receivedAtWallMillis }) => ({
        target: request.plainTarget,
        sinceMillis: receivedAtWallMillis,
      }))
      .sort((a, b) => (a.target < b.target ? -1 : 1));
  }

  /** What is kept, the most recently used first; no token bytes. */
  list(): TokenList {
    return listTokens(this.#cache.entries(), this.#options.clock.wallMillis());
  }

  /** How many tokens are valid, and of how many the last refresh failed. */
  count(): { valid: number; failing: number; failingNearExpiry: number } {
    const valid = this.#cache.entries().filter(({ leftSeconds }) => leftSeconds > 0);
    const failing = valid.filter(({ failures }) => failures > 0);
    const nearExpiry = failing.filter(({ leftSeconds }) => leftSeconds < NEAR_EXPIRY_SECONDS);
    return { valid: valid.length, failing: failing.length, failingNearExpiry: nearExpiry.length };
  }

  /**
   * Drops tokens, so that the next request for each asks IMDS; what is being asked for is kept for nobody.
   *
   * @param identity only those that are, or may be, of this identity
   * @returns how many were dropped
   */
  flush(identity?: IdentityRef): number {
    this.#refusals.clear();
    this.#flushedOrder = this.#flightsBegun;
    this.#flights.clear();
    return this.#cache.deleteWhere(
      ({ request, answer }) => identity === undefined || mayBeOf(request, answer, identity),
    );
  }

  stop(): void {
    this.#cache.clear();
  }

  /**
   * A service does not take this token any more, and IMDS has given another one for it: nobody else shall get it. Not before,
   * since only the client has said so: while IMDS is away it would take a valid token from all who share it.
   */
  #dropRefused({ refusedTokenHash }: TokenRequest, { answer: given }: TokenEntry): void {
    if (refusedTokenHash === undefined || given.isToken(refusedTokenHash)) return;
    this.#cache.deleteWhere(({ answer }) => answer.isToken(refusedTokenHash));
  }

  /** The same token may be asked for by name and as whichever IMDS picks, so this is looked at each time. */
  #give(
    entry: TokenEntry,
    { identity }: TokenRequest,
    { via, holder }: { readonly via: Via; readonly holder: string },
  ): TokenOutcome {
    if (identity !== undefined && !canBelongTo(entry.answer.owner, identity)) {
      if (identity.kind === 'system') return { kind: 'other-identity' };
      throw new MsiProxyError(
        'MSI_UPSTREAM_WRONG_IDENTITY',
        `IMDS answered with the token of another identity than ${formatIdentity(identity)}`,
      );
    }
    entry.isUsed = true;
    entry.giveTo(holder);
    if (via === 'upstream') return { kind: 'answer', answer: entry.answer.original, via };
    const answer = entry.answer.after(entry.ageSeconds, this.#date.text(this.#options.clock.wallMillis()));
    return { kind: 'answer', answer, via };
  }

  #join(request: TokenRequest, { source, deadlineMillis }: TokenWaiter): { flight: Flight; isNew: boolean } {
    const present = this.#flights.get(request.target);
    if (present === undefined) {
      return { flight: this.#begin(request, source, 'client', deadlineMillis), isNew: true };
    }
    present.call.join(source, deadlineMillis);
    return { flight: present, isNew: false };
  }

  #begin(request: TokenRequest, source: string, priority: Priority, deadlineMillis: number): Flight {
    const { calls, send, clock } = this.#options;
    const order = ++this.#flightsBegun;
    const call = calls.start({
      lane: 'identity',
      source,
      priority,
      deadlineMillis,
      ...(priority === 'background' && { longestTryMillis: BACKGROUND_TRY_MILLIS }),
      isRepeatable: true,
      isUpdatedWhenNotFound: true,
      isUsable: answer => isUsable(answer, clock.wallMillis()),
      send: timeoutMillis => send(request.target, timeoutMillis),
    });
    const landed = this.#land({ request, order, source }, call).finally(() => {
      // After a flush it may be another one.
      if (this.#flights.get(request.target) === flight) this.#flights.delete(request.target);
    });
    // Nobody may be waiting any more.
    landed.catch(() => undefined);
    const flight: Flight = { call, landed, landing: new SharedPromise(landed) };
    this.#flights.set(request.target, flight);
    return flight;
  }

  async #land(asking: Asking, call: UpstreamCall): Promise<Landing> {
    const { request, order } = asking;
    const outcome = await call.outcome;
    if (outcome.kind === 'throttled') return outcome;
    const { answer } = outcome;
    const token = TokenAnswer.read(answer, this.#options.clock.wallMillis());
    if (token !== undefined) {
      const entry = this.#keep(asking, token);
      this.#dropRefused(request, entry);
      return { kind: 'token', entry };
    }
    const refusal = passable(answer);
    // What another token was refused, or a freshness that IMDS does not know, says nothing about this one; and a later call
    // may have brought a token meanwhile.
    const isSuperseded =
      order <= this.#flushedOrder || (this.#cache.peek(request.plainTarget)?.order ?? 0) > order;
    if (isDefinite(answer) && request.target === request.plainTarget && !isSuperseded) {
      // The guard's says nothing about the identity: the token that is there is still good.
      if (!isGuardRefusal(answer)) this.#cache.delete(request.plainTarget);
      this.#refusals.add(request.plainTarget, refusal);
    }
    return { kind: 'refusal', answer: refusal };
  }

  #keep(asking: Asking, answer: TokenAnswer): TokenEntry {
    const { request } = asking;
    const entry = new TokenEntry({ ...asking, answer, clock: this.#options.clock });
    if (asking.order <= this.#flushedOrder) return entry;
    this.#refusals.delete(request.plainTarget);
    if (request.isKept && this.#cache.add(entry)) {
      this.#schedule(entry, refreshDelayMillis(answer, this.#options.random));
    }
    return entry;
  }

  #schedule(entry: TokenEntry, delayMillis: number): void {
    entry.timer = this.#options.clock.setTimer(
      () => {
        // An entry that nobody uses ends with its token.
        if (!entry.isUsed) entry.isDue = true;
        else if (this.#isAlive(entry)) this.#refresh(entry);
      },
      Math.min(delayMillis, LONGEST_TIMER_MILLIS),
    );
  }

  #refresh(entry: TokenEntry): void {
    entry.isDue = false;
    const { plainTarget } = entry.request;
    const { landed } = this.#beginInBackground({ ...entry.request, target: plainTarget }, OWN_SOURCE);
    const again = () => {
      if (!this.#isAlive(entry)) return;
      this.#schedule(entry, refreshRetryMillis(entry, this.#options.random));
      entry.failures += 1;
    };
    landed.then(landing => {
      if (landing.kind !== 'token') again();
      // A flush has left this one meanwhile, and would not have its successor.
      else if (this.#isAlive(entry)) this.#refresh(entry);
    }, again);
  }

  /** Whether it is kept, and worth a refresh: one that has ended is got when somebody asks for it. */
  #isAlive(entry: TokenEntry): boolean {
    if (!this.#cache.holds(entry)) return false;
    if (entry.leftSeconds > 0) return true;
    this.#cache.delete(entry.request.plainTarget);
    return false;
  }

  #beginInBackground(request: TokenRequest, source: string): Flight {
    const present = this.#flights.get(request.target);
    if (present !== undefined) return present;
    const deadlineMillis = this.#options.clock.monotonicMillis() + BACKGROUND_DEADLINE_MILLIS;
    const flight = this.#begin(request, source, 'background', deadlineMillis);
    flight.landed.catch((err: unknown) => {
      this.#options.logger.debug('A token could not be got ahead of time', { err });
    });
    return flight;
  }

  async #landingBy({ deadlineMillis, client }: TokenWaiter, { landing, call }: Flight): Promise<Landing> {
    const landed = await landing.until(deadlineMillis, this.#options.clock, client);
    if (landed !== TIME_UP) return landed;
    const outcome = call.soFar();
    return outcome.kind === 'throttled' ? outcome : { kind: 'refusal', answer: passable(outcome.answer) };
  }
}

/**
 * An answer that SDKs can read, whatever its status: they parse every body.
 *
 * @throws {MsiProxyError} `MSI_UPSTREAM_UNUSABLE`
 */
function passable(answer: UpstreamAnswer): UpstreamAnswer {
  if (isGuardRefusal(answer)) return guardRefusalInWords(answer, 'identity');
  if (answer.status !== 200 && parseObject(answer.body.toString('utf8')) !== undefined) return answer;
  throw new MsiProxyError(
    'MSI_UPSTREAM_UNUSABLE',
    `IMDS answered with status ${answer.status} and something that is no answer to a token request`,
  );
}

/** Token answers must be whole, and all others must be readable, or mean something without words. */
function isUsable(answer: UpstreamAnswer, wallMillis: number): boolean {
  if (isGuardRefusal(answer)) return true;
  return answer.status === 200
    ? TokenAnswer.read(answer, wallMillis) !== undefined
    : parseObject(answer.body.toString('utf8')) !== undefined;
}

/** A refusal that will be the same the next time. */
function isDefinite({ status }: UpstreamAnswer): boolean {
  return status >= 400 && status < 500 && ![404, 408, 410, 429].includes(status);
}

/** Asked for by this name, or by another name or none while nothing says that it is somebody else's. */
function mayBeOf(request: TokenRequest, { owner }: TokenAnswer, identity: IdentityRef): boolean {
  if (request.identity !== undefined && sameIdentity(request.identity, identity)) return true;
  return canBelongTo(owner, identity);
}
