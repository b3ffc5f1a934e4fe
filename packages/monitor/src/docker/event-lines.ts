import { printable, type Logger } from '@msi-proxy/shared';
import type { EngineEvent } from './engine-client.ts';
import { numberOf, recordOf, stringOf, stringRecordOf } from './reading.ts';

const LINE_FEED = 0x0a;

// An event is below 10 kB even with 100 labels; more than this without a line end is no event stream.
const MAX_LINE_BYTES = 1024 * 1024;

/**
 * Splits the engine's event stream into events. Chunks may be cut anywhere, also inside a character. What is no event is
 * passed over with a warning: events are only hints, and the next listing brings what one of them would have told.
 */
export class EventLines {
  readonly #logger: Logger;
  #parts: Buffer[] = [];
  #pendingBytes = 0;
  /** The line that has begun is longer than the limit; all up to its end is dropped. */
  #oversized = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @returns the events that this chunk completes */
  push(chunk: Buffer): EngineEvent[] {
    const events: EngineEvent[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      this.#append(chunk.subarray(start, end));
      const event = this.#endLine();
      if (event !== undefined) events.push(event);
      start = end + 1;
    }
    this.#append(chunk.subarray(start));
    return events;
  }

  #append(bytes: Buffer): void {
    if (this.#oversized) return;
    this.#pendingBytes += bytes.length;
    this.#parts.push(bytes);
    if (this.#pendingBytes <= MAX_LINE_BYTES) return;
    this.#logger.warn('Passing over an event that is too long', { maxBytes: MAX_LINE_BYTES });
    this.#oversized = true;
    this.#parts = [];
  }

  #endLine(): EngineEvent | undefined {
    const line = Buffer.concat(this.#parts).toString('utf8').trim();
    this.#parts = [];
    this.#pendingBytes = 0;
    this.#oversized = false;
    if (line === '') return undefined;
    const event = parseEvent(line);
    if (event === undefined) this.#logger.warn('Passing over what is no event', { line: printable(line) });
    return event;
  }
}

function parseEvent(line: string): EngineEvent | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  // The older fields `status`, `id` and `from` are gone since API 1.52.
  const event = recordOf(parsed);
  const actor = recordOf(event['Actor']);
  const type = stringOf(event['Type']);
  const actorId = stringOf(actor['ID']);
  if (type === '' || actorId === '') return undefined;
  return {
    type,
    action: stringOf(event['Action']),
    actorId,
    attributes: stringRecordOf(actor['Attributes']),
    timeNano: numberOf(event['timeNano']),
  };
}
