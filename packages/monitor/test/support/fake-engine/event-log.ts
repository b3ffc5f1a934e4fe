export interface FakeEvent {
  readonly type: string;
  readonly action: string;
  readonly actorId: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface RecordedEvent extends FakeEvent {
  readonly timeNano: number;
}

/** As moby's: what older subscribers ask for with `since` comes from the last 256 events. */
const REMEMBERED_EVENTS = 256;

/** What happened, and who wants to know. */
export class EventLog {
  readonly #remembered: RecordedEvent[] = [];
  readonly #subscribers = new Set<(event: RecordedEvent) => void>();
  #lastTimeNano = 0;

  /** Applied to each event before anybody hears of it: `[]` loses it, two of them double it. */
  tamper: (event: RecordedEvent) => readonly RecordedEvent[] = event => [event];

  emit(event: FakeEvent): void {
    // Nanoseconds are beyond a double's precision; a growing number is all that is relied on.
    this.#lastTimeNano = Math.max(Date.now() * 1e6, this.#lastTimeNano + 1024);
    for (const recorded of this.tamper({ ...event, timeNano: this.#lastTimeNano })) this.#tell(recorded);
  }

  /** @returns a function that ends the subscription */
  subscribe(subscriber: (event: RecordedEvent) => void, sinceSeconds?: number): () => void {
    if (sinceSeconds !== undefined) {
      for (const event of this.#remembered.filter(({ timeNano }) => timeNano >= sinceSeconds * 1e9))
        subscriber(event);
    }
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  #tell(event: RecordedEvent): void {
    this.#remembered.push(event);
    if (this.#remembered.length > REMEMBERED_EVENTS) this.#remembered.shift();
    for (const subscriber of [...this.#subscribers]) subscriber(event);
  }
}

/** As the engine writes it on the stream; before API 1.52 with fields of its first days. */
export function eventJson(event: RecordedEvent, { legacyFields }: { legacyFields: boolean }): string {
  const { type, action, actorId, attributes, timeNano } = event;
  return `${JSON.stringify({
    ...(legacyFields &&
      type === 'container' && { status: action, id: actorId, from: attributes['image'] ?? '' }),
    Type: type,
    Action: action,
    Actor: { ID: actorId, Attributes: attributes },
    scope: 'local',
    time: Math.floor(timeNano / 1e9),
    timeNano,
  })}\n`;
}
