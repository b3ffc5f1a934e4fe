import { TOKEN_PATH, type Clock, type GivenToken, type Timer } from '@msi-proxy/shared';
import { requestedIdentity } from '../authorize/identity-parameter.ts';
import { parseTarget } from '../gate/target.ts';
import type { TokenBroker } from './token-broker.ts';
import { tokenRequestOf, type TokenRequest } from './token-request.ts';

export interface StandbyTokensOptions {
  readonly broker: Pick<TokenBroker, 'keepReady' | 'retain'>;
  readonly clock: Clock;
}

/** A twentieth of what IMDS gives to the VM: the proxy that serves goes first. */
const PACE_MILLIS = 1_000;

/** Tokens end, and IMDS may have said no for a moment. */
const CHECK_MILLIS = 30_000;

/**
 * What a proxy that stands by has at hand: the tokens that the one that serves keeps, so that its own first requests do
 * not have to wait for IMDS. It gets them from IMDS itself; no token leaves a proxy for another one. See docs/adr/0029.
 */
export class StandbyTokens {
  readonly #options: StandbyTokensOptions;
  #wanted: readonly (readonly [TokenRequest, sinceMillis: number])[] = [];
  #timer: Timer | undefined;
  #endPause: (() => void) | undefined;
  /** Which list is worked on: an older round ends. */
  #round = 0;
  /** The rounds so far. */
  #ended = Promise.resolve();

  constructor(options: StandbyTokensOptions) {
    this.#options = options;
  }

  /** This proxy stands by, and another one keeps these; what else is kept here is dropped, as it was there. */
  follow(tokens: readonly GivenToken[]): void {
    const nowMillis = this.#options.clock.wallMillis();
    this.#wanted = tokens.flatMap(({ target, sinceMillis }) => {
      const request = readRequest(target);
      if (request === undefined) return [];
      // A clock that was set back says nothing about which one is newer.
      const isPast = Number.isFinite(sinceMillis) && sinceMillis <= nowMillis;
      return [[request, isPast ? sinceMillis : 0] as const];
    });
    this.#options.broker.retain(new Set(this.#wanted.map(([{ plainTarget }]) => plainTarget)));
    this.#begin();
  }

  /** This proxy serves, or ends. */
  stop(): void {
    this.#round += 1;
    this.#timer?.cancel();
    this.#endPause?.();
    this.#wanted = [];
  }

  /** A round begins when the one before has ended with its pause: the pace is the same however often the list changes. */
  #begin(): void {
    this.#timer?.cancel();
    this.#round += 1;
    const round = this.#round;
    this.#ended = this.#ended.then(() => this.#getAll(round));
  }

  /** One after the other: what this proxy does ahead of time must not take the turn of a client. */
  async #getAll(round: number): Promise<void> {
    for (const [request, sinceMillis] of this.#wanted) {
      if (round !== this.#round) return;
      const asked = await this.#options.broker.keepReady(request, sinceMillis);
      if (asked) await this.#pause();
    }
    if (round === this.#round && this.#wanted.length > 0) {
      this.#timer = this.#options.clock.setTimer(() => this.#begin(), CHECK_MILLIS);
    }
  }

  async #pause(): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.setTimer(resolve, PACE_MILLIS);
      this.#endPause = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

/** Judged as if a client had sent it: from whom it comes is no reason to ask IMDS for anything else. */
function readRequest(target: unknown): TokenRequest | undefined {
  if (typeof target !== 'string') return undefined;
  const parsed = parseTarget(target);
  if (!parsed.ok || parsed.path !== TOKEN_PATH) return undefined;
  const named = requestedIdentity(parsed.query, 'token');
  if (named.kind === 'malformed') return undefined;
  const request = tokenRequestOf(parsed.query, named.kind === 'named' ? named.identity : undefined);
  const isPlain = request.isKept && !request.bypassesCache && request.plainTarget === target;
  return isPlain && request.resource !== '' ? request : undefined;
}
