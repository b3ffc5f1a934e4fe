import type { MonitorStatus } from '@msi-proxy/shared';
import {
  BEAT_INTERVAL_MILLIS,
  LIVE_EVENTS,
  type Beat,
  type StatusChanges,
} from '../../model/live-message.ts';
import { nextLiveState, NOT_HEARD_YET, type LiveInput, type LiveState } from '../../model/live-state.ts';

/** A stream that says nothing for so long is dead, whatever the browser thinks of it. */
const SILENCE_MILLIS = 2.5 * BEAT_INTERVAL_MILLIS;

const RETRY_MILLIS = { first: 500, longest: 10_000 };

/**
 * Follows the monitor's stream, and opens another one when it ends. The browser's own way to come back gives up at the first
 * answer that is no stream, so it is not relied on.
 */
export class LiveStatus {
  readonly #url: URL;
  readonly #watchers = new Set<() => void>();
  #state = NOT_HEARD_YET;
  #source: EventSource | undefined;
  #silence: number | undefined;
  #retryMillis = RETRY_MILLIS.first;

  constructor(url: URL) {
    this.#url = url;
  }

  get state(): LiveState {
    return this.#state;
  }

  /** @returns stops watching */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  start(): void {
    const source = new EventSource(this.#url);
    this.#source = source;
    const on = (event: string, inputOf: (json: string) => LiveInput) => {
      source.addEventListener(event, ({ data }: MessageEvent<string>) => {
        this.#awaitNext();
        this.#apply(inputOf(data));
      });
    };
    on(LIVE_EVENTS.status, json => {
      this.#retryMillis = RETRY_MILLIS.first;
      return { kind: 'status', status: JSON.parse(json) as MonitorStatus };
    });
    on(LIVE_EVENTS.changes, json => ({ kind: 'changes', changes: JSON.parse(json) as StatusChanges }));
    on(LIVE_EVENTS.beat, json => ({ kind: 'beat', ...(JSON.parse(json) as Beat) }));
    source.onerror = () => this.#lose();
    this.#awaitNext();
  }

  #awaitNext(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lose(), SILENCE_MILLIS);
  }

  #lose(): void {
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#apply({ kind: 'lost' });
    setTimeout(() => this.start(), this.#retryMillis);
    this.#retryMillis = Math.min(2 * this.#retryMillis, RETRY_MILLIS.longest);
  }

  #apply(input: LiveInput): void {
    const before = this.#state;
    this.#state = nextLiveState(before, input, Date.now());
    if (this.#state !== before) this.#watchers.forEach(watcher => watcher());
  }
}
