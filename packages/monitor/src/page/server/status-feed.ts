import type { ServerResponse } from 'node:http';
import type { Clock, Logger, MonitorStatus, Timer } from '@msi-proxy/shared';
import { BEAT_INTERVAL_MILLIS, LIVE_EVENTS, type Beat } from '../model/live-message.ts';
import { EventListener } from './event-listener.ts';
import { StatusDiffer } from './status-differ.ts';

export interface StatusFeedOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly status: () => MonitorStatus;
  /** Brings up to date what the status does not learn by itself. */
  readonly refresh: () => Promise<void>;
}

/** Some people with some windows each. Each costs a connection, and the connections of the server are few. */
export const MAX_LISTENERS = 16;

/** The status is looked at this often while somebody listens, however many do. */
const INTERVAL_MILLIS = 1_000;

/** Tells those who listen how the status changes. Does nothing while nobody does. */
export class StatusFeed {
  readonly #options: StatusFeedOptions;
  readonly #listeners = new Set<EventListener>();
  #differ = new StatusDiffer();
  #timer: Timer | undefined;
  #beatAtMillis = 0;
  #isLooking = false;

  constructor(options: StatusFeedOptions) {
    this.#options = options;
  }

  /** @returns whether there was room for one more */
  add(response: ServerResponse): boolean {
    if (this.#listeners.size >= MAX_LISTENERS) return false;
    const { clock } = this.#options;
    const listener = new EventListener({ response, clock });
    this.#listeners.add(listener);
    const { socket } = response.req;
    const leave = () => {
      response.off('close', leave);
      socket.off('close', leave);
      this.#remove(listener);
    };
    response.once('close', leave);
    // Node 22 tells only the first of the responses that are under way on a connection.
    socket.once('close', leave);
    listener.sendBeat(LIVE_EVENTS.beat, this.#beat());
    void this.#look();
    return true;
  }

  stop(): void {
    this.#timer?.cancel();
    for (const listener of this.#listeners) listener.end();
    this.#listeners.clear();
  }

  #remove(listener: EventListener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#timer?.cancel();
    this.#differ = new StatusDiffer();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#timer?.cancel();
    const { clock, logger, status, refresh } = this.#options;
    try {
      await refresh();
      this.#tell(status());
    } catch (err) {
      logger.error('The status could not be told to those who watch', { err });
      // They ask again, and see meanwhile that they do not hear anything.
      this.stop();
    }
    this.#isLooking = false;
    if (this.#listeners.size > 0) this.#timer = clock.setTimer(() => void this.#look(), INTERVAL_MILLIS);
  }

  #tell(status: MonitorStatus): void {
    const changes = this.#differ.next(status);
    let whole: string | undefined;
    const nowMillis = this.#options.clock.monotonicMillis();
    const isTimeForBeat = nowMillis - this.#beatAtMillis >= BEAT_INTERVAL_MILLIS;
    if (isTimeForBeat) this.#beatAtMillis = nowMillis;
    for (const listener of this.#listeners) {
      if (listener.isStale) listener.sendWhole(LIVE_EVENTS.status, (whole ??= this.#differ.whole));
      else if (changes !== undefined) listener.sendChange(LIVE_EVENTS.changes, changes);
      if (isTimeForBeat) listener.sendBeat(LIVE_EVENTS.beat, this.#beat());
    }
  }

  #beat(): string {
    return JSON.stringify({ nowMillis: this.#options.clock.wallMillis() } satisfies Beat);
  }
}
