import { formatIdentity, type Caller, type Clock, type IdentityRef, type Logger } from '@msi-proxy/shared';

/** What was decided about one request. Holds no query and no header: tokens and secrets are in neither log nor memory. */
export interface AuditRecord {
  readonly address: string;
  readonly caller?: Caller;
  readonly group: string;
  readonly identity?: IdentityRef;
  readonly resource?: string;
  readonly verdict: 'allowed' | 'denied' | 'failed';
  readonly reason?: string;
  /** Absent when nothing was answered. */
  readonly status?: number;
  readonly durationMillis: number;
}

// A crash-looping client repeats itself many times a second; what it repeats is counted.
const REPEAT_WINDOW_MILLIS = 10_000;
const MAX_REMEMBERED = 1_000;
const MAX_RESOURCE_LENGTH = 200;

interface Repeat {
  readonly sinceMillis: number;
  count: number;
}

/** Writes one line per decision; of the same denial of the same container one in ten seconds, with a count. */
export class AuditLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #repeats = new Map<string, Repeat>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  write(record: AuditRecord): void {
    if (record.verdict === 'allowed') {
      this.#logger.info('request', fieldsOf(record));
      return;
    }
    const key = [record.address, record.caller?.containerId, record.group, record.reason, record.status].join(
      '|',
    );
    const nowMillis = this.#clock.monotonicMillis();
    const repeat = this.#repeats.get(key);
    if (repeat !== undefined && nowMillis - repeat.sinceMillis < REPEAT_WINDOW_MILLIS) {
      repeat.count += 1;
      return;
    }
    this.#repeats.delete(key);
    this.#repeats.set(key, { sinceMillis: nowMillis, count: 0 });
    if (this.#repeats.size > MAX_REMEMBERED) {
      const [oldest] = this.#repeats.keys();
      if (oldest !== undefined) this.#repeats.delete(oldest);
    }
    const repeated = repeat?.count ?? 0;
    this.#logger.warn('request', { ...fieldsOf(record), ...(repeated > 0 && { repeated }) });
  }
}

function fieldsOf({ caller, identity, resource, durationMillis, ...record }: AuditRecord) {
  return {
    ...(caller && { containerId: caller.containerId, container: caller.name }),
    ...record,
    ...(identity && { identity: formatIdentity(identity) }),
    ...(resource !== undefined && { resource: resource.slice(0, MAX_RESOURCE_LENGTH) }),
    durationMillis: Math.round(durationMillis * 10) / 10,
  };
}
