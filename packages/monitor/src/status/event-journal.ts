import type { Clock, StatusEvent } from '@msi-proxy/shared';

const MAX_EVENTS = 200;

/** What happened lately, in words, for the status. */
export class EventJournal {
  readonly #clock: Clock;
  readonly #events: StatusEvent[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The newest last. */
  get events(): readonly StatusEvent[] {
    return [...this.#events];
  }

  add(message: string, containerId?: string): void {
    const at = new Date(this.#clock.wallMillis()).toISOString();
    this.#events.push({ at, message, ...(containerId !== undefined && { containerId }) });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
  }
}
