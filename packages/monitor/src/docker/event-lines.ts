import type { EngineEvent } from './engine-client.ts';
import { numberOf, recordOf, stringOf, stringRecordOf } from './reading.ts';

// An event is below 10 kB even with 100 labels; more than this without a line end is no event stream.
const MAX_LINE_BYTES = 1024 * 1024;

/** Splits the event stream into events. Frames hold parts of lines and several lines, and may be cut inside a character. */
export class EventLines {
  #pending: Buffer = Buffer.alloc(0);

  /** @returns the events that are complete; what is no event is passed over, since events are only hints */
  push(chunk: Buffer): EngineEvent[] {
    const events: EngineEvent[] = [];
    let bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a)) {
      const event = parseEvent(bytes.subarray(0, end).toString('utf8'));
      if (event !== undefined) events.push(event);
      bytes = bytes.subarray(end + 1);
    }
    this.#pending = bytes.length > MAX_LINE_BYTES ? Buffer.alloc(0) : bytes;
    return events;
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
