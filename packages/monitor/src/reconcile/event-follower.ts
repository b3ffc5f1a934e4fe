import { messageOf, type Clock, type Logger } from '@msi-proxy/shared';
import type { EngineClient, EngineEvent, EngineVersion } from '../docker/index.ts';

export type EngineState = 'connected' | 'connecting' | 'unresponsive';

export interface EventFollowerOptions {
  readonly engine: EngineClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /** Called after each subscription: lists everything, since events of before may be lost. */
  readonly onSubscribed: () => Promise<void>;
  readonly onEvent: (event: EngineEvent) => void;
  readonly onStateChange: (state: EngineState, error?: string) => void;
}

// As client-go's reflector: slow enough not to trouble an engine that is ill, fast enough not to be noticed after a restart.
const MIN_BACKOFF_MILLIS = 800;
const MAX_BACKOFF_MILLIS = 30_000;
const HEALTHY_AFTER_MILLIS = 30_000;

const PING_INTERVAL_MILLIS = 5_000;
const PING_TIMEOUT_MILLIS = 2_000;

// Events carry the engine's clock, and those of one moment may be cut in two by a reconnect.
const REPLAY_SECONDS = 1;

/**
 * Follows the engine's events for good. Subscribes first and lists then, so that nothing falls between; subscribes again
 * when the stream ends, from the last event on; notices an engine that hangs by pinging it.
 */
export class EventFollower {
  readonly #options: EventFollowerOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #state: EngineState = 'connecting';
  #version: EngineVersion | undefined;
  #lastEventSeconds: number | undefined;
  #lastProblem: string | undefined;

  constructor(options: EventFollowerOptions) {
    this.#options = options;
  }

  get state(): EngineState {
    return this.#state;
  }

  get version(): EngineVersion | undefined {
    return this.#version;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options;
    let failures = 0;
    while (!this.#isStopped()) {
      const startMillis = clock.monotonicMillis();
      const error = await this.#followOnce();
      if (this.#isStopped()) return;
      this.#setState('connecting', error);
      if (clock.monotonicMillis() - startMillis >= HEALTHY_AFTER_MILLIS) failures = 0;
      const ceiling = Math.min(MAX_BACKOFF_MILLIS, MIN_BACKOFF_MILLIS * 2 ** Math.min(failures, 20));
      failures += 1;
      await this.#pause(ceiling * (0.25 + 0.75 * random()));
    }
  }

  /** One subscription from beginning to end. @returns why it ended */
  async #followOnce(): Promise<string> {
    const { engine, onSubscribed, onEvent } = this.#options;
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, this.#stopping.signal]);
    let pinging: Promise<void> | undefined;
    try {
      this.#version = await engine.version();
      const sinceSeconds =
        this.#lastEventSeconds === undefined ? undefined : this.#lastEventSeconds - REPLAY_SECONDS;
      const events = await engine.events({ signal, ...(sinceSeconds !== undefined && { sinceSeconds }) });
      this.#setState('connected');
      pinging = this.#ping(signal);
      // Not awaited before the events are read: the engine drops events for readers that are slow.
      const listed = onSubscribed();
      listed.catch(() => ending.abort());
      for await (const event of events) {
        if (event.timeNano > 0) this.#lastEventSeconds = Math.floor(event.timeNano / 1e9);
        onEvent(event);
      }
      await listed;
      return 'the event stream ended';
    } catch (error) {
      return messageOf(error);
    } finally {
      ending.abort();
      await pinging;
    }
  }

  /** An engine that hangs keeps its streams open and silent. */
  async #ping(signal: AbortSignal): Promise<void> {
    const isOver = () => signal.aborted;
    while (!isOver()) {
      await this.#pause(PING_INTERVAL_MILLIS, signal);
      if (isOver()) return;
      const problem = await this.#options.engine.ping(PING_TIMEOUT_MILLIS).then(() => undefined, messageOf);
      if (!isOver()) this.#setState(problem === undefined ? 'connected' : 'unresponsive', problem);
    }
  }

  /** One log line for each change, not for each attempt. */
  #setState(state: EngineState, problem?: string): void {
    if (state === this.#state && problem === this.#lastProblem) return;
    this.#state = state;
    this.#lastProblem = problem;
    const { logger, onStateChange } = this.#options;
    if (problem === undefined) logger.info('Connected to the Docker engine', { ...this.#version });
    else logger.warn(`The Docker engine cannot be followed: ${problem}`);
    onStateChange(state, problem);
  }

  /** A function, because the compiler takes a property for unchanged across an await. */
  #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #pause(millis: number, signal: AbortSignal = this.#stopping.signal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = () => resolve(undefined);
    const timer = this.#options.clock.setTimer(wake, millis);
    signal.addEventListener('abort', wake, { once: true });
    await promise;
    timer.cancel();
    signal.removeEventListener('abort', wake);
  }
}
