import {
  formatIdentity,
  printable,
  type Caller,
  type Clock,
  type IdentityRef,
  type Logger,
  type Timer,
} from '@msi-proxy/shared';
import type { Via } from './tokens/token-broker.ts';

/** What was decided about one request. Holds no query and no header: tokens and secrets are in neither log nor memory. */
export interface AuditRecord {
  readonly address: string;
  readonly caller?: Caller | undefined;
  readonly group: string;
  /** What the request named. */
  readonly askedIdentity?: IdentityRef | undefined;
  /** Whose token, or credential, it was answered with, as far as that was decided here. */
  readonly identity?: IdentityRef | undefined;
  readonly resource?: string | undefined;
  /** `would-deny`: allowed only because policies are not enforced. */
  readonly verdict: 'allowed' | 'would-deny' | 'denied' | 'failed';
  readonly reason?: string | undefined;
  /** Where the answer came from. */
  readonly via?: Via | undefined;
  /** Absent when nothing was answered. */
  readonly status?: number | undefined;
  readonly durationMillis: number;
}

// A busy client, or one that crashes in a loop, repeats itself many times a second; what it repeats is counted.
const REPEAT_WINDOW_MILLIS = 10_000;
const MAX_REMEMBERED = 4_096;
const MAX_RESOURCE_LENGTH = 200;

// Whoever asks may name something else each time. From so many decisions on that are remembered of one, further ones are told
// without what was named, and so are few.
const MAX_REMEMBERED_OF_ONE = 50;

/** As it is written. */
interface Told extends AuditRecord {
  /** What was named is left out, because it differs so often. */
  readonly varied?: true;
}

/** A decision that has its line, and how often it was repeated since without one. */
interface Repeat {
  readonly told: Told;
  sinceMillis: number;
  count: number;
}

/** What a caller was answered last: mostly it is the same again, which is seen without writing it out. */
interface Latest {
  readonly record: AuditRecord;
  readonly repeat: Repeat;
}

/**
 * Writes one line per decision; of the same decision about the same container one in ten seconds, with a count. Lines that
 * count tell of no decision beyond those that they count.
 */
export class AuditLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** Those whose ten seconds end first come first. */
  readonly #repeats = new Map<string, Repeat>();
  /** How many of them are about one source. */
  readonly #remembered = new Map<string, number>();
  readonly #latest = new WeakMap<Caller, Latest>();
  #timer: Timer | undefined;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  write(record: AuditRecord): void {
    const nowMillis = this.#clock.monotonicMillis();
    const latest = record.caller && this.#latest.get(record.caller);
    if (latest !== undefined && isWithin(latest.repeat, nowMillis) && isSame(latest.record, record)) {
      latest.repeat.count += 1;
      return;
    }
    this.#endWindows(nowMillis);
    const repeat = this.#repeated(record) ?? this.#begin(record, nowMillis);
    if (record.caller !== undefined) this.#latest.set(record.caller, { record, repeat });
    this.#schedule(nowMillis);
  }

  /** Writes what has only been counted so far. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const [key, repeat] of this.#repeats) this.#end(key, repeat);
  }

  /** Counts it, if it is a repetition. */
  #repeated(record: AuditRecord): Repeat | undefined {
    let repeat = this.#repeats.get(repeatKey(record));
    if (repeat === undefined && this.#isVaried(record))
      repeat = this.#repeats.get(repeatKey(unnamed(record)));
    if (repeat !== undefined) repeat.count += 1;
    return repeat;
  }

  #begin(record: AuditRecord, nowMillis: number): Repeat {
    const told = this.#isVaried(record) ? unnamed(record) : record;
    const repeat = { told, sinceMillis: nowMillis, count: 0 };
    this.#remember(repeatKey(told), repeat);
    const durationMillis = Math.round(record.durationMillis * 10) / 10;
    this.#tell(told, { durationMillis });
    if (this.#repeats.size > MAX_REMEMBERED) {
      const [oldest] = this.#repeats;
      if (oldest !== undefined) this.#end(...oldest);
    }
    return repeat;
  }

  /** Whether what it names must not make another line. */
  #isVaried(record: AuditRecord): boolean {
    const { askedIdentity, identity, resource } = record;
    const namesNothing = askedIdentity === undefined && identity === undefined && resource === undefined;
    if (namesNothing) return false;
    const remembered = this.#remembered.get(sourceOf(record)) ?? 0;
    return remembered >= MAX_REMEMBERED_OF_ONE || this.#repeats.size >= MAX_REMEMBERED;
  }

  #remember(key: string, repeat: Repeat): void {
    this.#repeats.set(key, repeat);
    const source = sourceOf(repeat.told);
    this.#remembered.set(source, (this.#remembered.get(source) ?? 0) + 1);
  }

  #forget(key: string, { told }: Repeat): void {
    this.#repeats.delete(key);
    const source = sourceOf(told);
    const others = (this.#remembered.get(source) ?? 0) - 1;
    if (others > 0) this.#remembered.set(source, others);
    else this.#remembered.delete(source);
  }

  /** What was repeated is written, and goes on being counted: it is likely to come again. */
  #endWindows(nowMillis: number): void {
    for (const [key, repeat] of this.#repeats) {
      if (isWithin(repeat, nowMillis)) return;
      const hasRepeated = repeat.count > 0;
      this.#end(key, repeat);
      if (!hasRepeated) continue;
      repeat.sinceMillis = nowMillis;
      this.#remember(key, repeat);
    }
  }

  #end(key: string, repeat: Repeat): void {
    this.#forget(key, repeat);
    if (repeat.count > 0) this.#tell(repeat.told, { repeated: repeat.count });
    repeat.count = 0;
    repeat.sinceMillis = Number.NEGATIVE_INFINITY;
  }

  #schedule(nowMillis: number): void {
    if (this.#timer !== undefined) return;
    const [first] = this.#repeats.values();
    if (first === undefined) return;
    this.#timer = this.#clock.setTimer(
      () => {
        this.#timer = undefined;
        const thenMillis = this.#clock.monotonicMillis();
        this.#endWindows(thenMillis);
        this.#schedule(thenMillis);
      },
      first.sinceMillis + REPEAT_WINDOW_MILLIS - nowMillis,
    );
  }

  #tell(told: Told, figures: { readonly durationMillis: number } | { readonly repeated: number }): void {
    const fields = { ...fieldsOf(told), ...figures };
    if (told.verdict === 'allowed') this.#logger.info('request', fields);
    else this.#logger.warn('request', fields);
  }
}

function isWithin(repeat: Repeat, nowMillis: number): boolean {
  return nowMillis - repeat.sinceMillis < REPEAT_WINDOW_MILLIS;
}

/** Everything of {@link repeatKey}. Equal identities that are different objects count as different. */
function isSame(a: AuditRecord, b: AuditRecord): boolean {
  return (
    a.caller === b.caller &&
    a.address === b.address &&
    a.group === b.group &&
    a.askedIdentity === b.askedIdentity &&
    a.identity === b.identity &&
    a.resource === b.resource &&
    a.verdict === b.verdict &&
    a.reason === b.reason &&
    a.via === b.via &&
    a.status === b.status
  );
}

function repeatKey(record: AuditRecord): string {
  const { address, caller, group, askedIdentity, identity, resource, verdict, reason, via, status } = record;
  const ids = [askedIdentity, identity].map(id => id && formatIdentity(id));
  return [address, caller?.containerId, group, ...ids, resource, verdict, reason, via, status].join('|');
}

function sourceOf({ caller, address }: AuditRecord): string {
  return caller?.containerId ?? address;
}

function unnamed(record: AuditRecord): Told {
  return { ...record, askedIdentity: undefined, identity: undefined, resource: undefined, varied: true };
}

function fieldsOf({ caller, askedIdentity, identity, resource, durationMillis, ...told }: Told) {
  return {
    ...(caller && { containerId: caller.containerId, container: caller.name }),
    ...told,
    ...(askedIdentity && { askedIdentity: formatIdentity(askedIdentity) }),
    ...(identity && { identity: formatIdentity(identity) }),
    ...(resource !== undefined && { resource: printable(resource, MAX_RESOURCE_LENGTH) }),
  };
}
