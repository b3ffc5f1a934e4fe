import { codeOf, messageOf, pause, type Clock, type EngineStatus, type Logger } from '@msi-proxy/shared';
import type { EngineClient, EngineEvent, EngineVersion } from '../docker/index.ts';
import { backoffMillis } from './backoff.ts';

export type EngineState = EngineStatus['state'];

export interface EventFollowerOptions {
  readonly engine: EngineClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A number from 0 up to, not including, 1, as `Math.random`. */
  readonly random: () => number;
  /**
   * Called after each subscription: lists everything, since events from before may be lost. Events that arrive meanwhile
   * are given to {@link onEvent} at once. Rejection ends the subscription, and another one follows.
   */
  readonly onSubscribed: () => Promise<void>;
  readonly onEvent: (event: EngineEvent) => void;
  /** Called for each end of a subscription that is not wanted, with its reason, before the next one. */
  readonly onReconnect?: (reason: unknown) => void;
  /** Called for each change of state, and when the problem is another one. */
  readonly onStateChange: (state: EngineState, problem?: string) => void;
}

// As client-go's reflector: slow enough not to trouble an engine that is ill, fast enough after a mere restart.
const RECONNECT_BACKOFF = { minMillis: 800, maxMillis: 30_000 };
// Looking for a socket where nobody listens troubles no engine, and one that restarts is followed soon.
const UNREACHABLE_BACKOFF = { ...RECONNECT_BACKOFF, maxMillis: 3_000 };
const HEALTHY_AFTER_MILLIS = 30_000;

const PING_INTERVAL_MILLIS = 10_000;
const PING_TIMEOUT_MILLIS = 5_000;
const QUICK_PING_TIMEOUT_MILLIS = 1_000;

// Two events can have one time and a disconnection between them; those that come twice do no harm.
const REPLAY_SECONDS = 1;

/**
 * Follows the engine's events for good. Subscribes first and lists then, so that nothing falls between; subscribes again
 * when the stream ends, from the last event on; notices an engine that hangs, which keeps its streams open and silent,
 * by pinging it.
 */
export class EventFollower {
  readonly #options: EventFollowerOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #state: EngineState = 'connecting';
  #problem: string | undefined;
  #version: EngineVersion | undefined;
  #lastEventSeconds: number | undefined;

  constructor(options: EventFollowerOptions) {
    this.#options = options;
  }

  get state(): EngineState {
    return this.#state;
  }

  /** Of the engine last reached. */
  get version(): EngineVersion | undefined {
    return this.#version;
  }

  start(): void {
    this.#running ??= this.#run(this.#stopping.signal);
  }

  /** Settles when the subscription is closed and the listing under way has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Asks the engine now, and waits for at most a second. */
  async engineAnswers(): Promise<boolean> {
    try {
      await this.#options.engine.ping(QUICK_PING_TIMEOUT_MILLIS);
      return true;
    } catch {
      return false;
    }
  }

  async #run(stopping: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    let attempt = 0;
    while (!isAborted(stopping)) {
      const startMillis = clock.monotonicMillis();
      const reason = await this.#followOnce(stopping);
      if (isAborted(stopping)) return;
      this.#options.onReconnect?.(reason);
      this.#setProblem(reason, 'connecting');
      if (clock.monotonicMillis() - startMillis >= HEALTHY_AFTER_MILLIS) attempt = 0;
      const backoff = codeOf(reason) === 'MSI_ENGINE_UNREACHABLE' ? UNREACHABLE_BACKOFF : RECONNECT_BACKOFF;
      await pause(clock, backoffMillis(attempt, backoff, random), stopping);
      attempt += 1;
    }
  }

  /** One subscription from beginning to end. @returns why it ended */
  async #followOnce(stopping: AbortSignal): Promise<unknown> {
    const { engine, onSubscribed, onEvent } = this.#options;
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, stopping]);
    try {
      // Each time: the engine that comes back may be of another version.
      this.#version = await engine.version();
      const events = await engine.events({ signal, ...this.#replay() });
      this.#setConnected();
      void this.#watchOver(signal);
      // Events are read meanwhile: the engine drops them for readers that are slow.
      const listing = onSubscribed();
      listing.catch(() => ending.abort());
      for await (const event of events) {
        if (event.timeNano > 0) this.#lastEventSeconds = event.timeNano / 1e9;
        onEvent(event);
      }
      await listing;
      return new Error('the event stream ended');
    } catch (error) {
      return error;
    } finally {
      ending.abort();
    }
  }

  #replay(): { sinceSeconds?: number } {
    return this.#lastEventSeconds === undefined
      ? {}
      : { sinceSeconds: this.#lastEventSeconds - REPLAY_SECONDS };
  }

  /** Only tells: cutting the stream of an engine that hangs would gain nothing and lose what it sends when it goes on. */
  async #watchOver(signal: AbortSignal): Promise<void> {
    const { clock, engine } = this.#options;
    for (;;) {
      await pause(clock, PING_INTERVAL_MILLIS, signal);
      if (isAborted(signal)) return;
      try {
        await engine.ping(PING_TIMEOUT_MILLIS);
        if (!isAborted(signal)) this.#setConnected();
      } catch (error) {
        if (!isAborted(signal)) this.#setProblem(error, 'unresponsive');
      }
    }
  }

  #setConnected(): void {
    if (this.#state === 'connected') return;
    this.#options.logger.info('Following the Docker engine', { ...this.#version });
    this.#setState('connected', undefined);
  }

  #setProblem(error: unknown, usual: EngineState): void {
    const state = codeOf(error) === 'MSI_ENGINE_UNRESPONSIVE' ? 'unresponsive' : usual;
    const problem = messageOf(error);
    const isFirst = state !== this.#state || this.#problem === undefined;
    // One line for each change, not for each attempt.
    if (isFirst)
      this.#options.logger.warn('Cannot follow the Docker engine; trying again', { state, err: error });
    if (isFirst || problem !== this.#problem) this.#setState(state, problem);
  }

  #setState(state: EngineState, problem: string | undefined): void {
    this.#state = state;
    this.#problem = problem;
    this.#options.onStateChange(state, problem);
  }
}

/** A function, because the compiler takes the property for unchanged across an await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
