import { formatIdentity, type Caller, type Clock, type IdentityRef, type Logger } from '@msi-proxy/shared';
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
const MAX_REMEMBERED = 1_000;
const MAX_RESOURCE_LENGTH = 200;

interface Repeat {
  readonly sinceMillis: number;
  count: number;
}

/** What a caller was answered last: mostly it is the same again, which is seen without writing it out. */
interface Latest {
  readonly record: AuditRecord;
  readonly repeat: Repeat;
}

/** Writes one line per decision; of the same decision about the same container one in ten seconds, with a count. */
export class AuditLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #repeats = new Map<string, Repeat>();
  readonly #latest = new WeakMap<Caller, Latest>();

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
    const key = repeatKey(record);
    const repeat = this.#repeats.get(key);
    if (repeat !== undefined && isWithin(repeat, nowMillis)) {
      repeat.count += 1;
      this.#remember(record, repeat);
      return;
    }
    const begun = { sinceMillis: nowMillis, count: 0 };
    this.#repeats.delete(key);
    this.#repeats.set(key, begun);
    this.#remember(record, begun);
    if (this.#repeats.size > MAX_REMEMBERED) {
      const [oldest] = this.#repeats.keys();
      if (oldest !== undefined) this.#repeats.delete(oldest);
    }
    const repeated = repeat?.count ?? 0;
    const fields = { ...fieldsOf(record), ...(repeated > 0 && { repeated }) };
    if (record.verdict === 'allowed') this.#logger.info('request', fields);
    else this.#logger.warn('request', fields);
  }

  #remember(record: AuditRecord, repeat: Repeat): void {
    if (record.caller !== undefined) this.#latest.set(record.caller, { record, repeat });
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

function fieldsOf({ caller, askedIdentity, identity, resource, durationMillis, ...record }: AuditRecord) {
  return {
    ...(caller && { containerId: caller.containerId, container: caller.name }),
    ...record,
    ...(askedIdentity && { askedIdentity: formatIdentity(askedIdentity) }),
    ...(identity && { identity: formatIdentity(identity) }),
    ...(resource !== undefined && { resource: resource.slice(0, MAX_RESOURCE_LENGTH) }),
    durationMillis: Math.round(durationMillis * 10) / 10,
  };
}
