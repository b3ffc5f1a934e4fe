import type { Caller, Witness } from '@msi-proxy/shared';
import type { ProxySession } from './proxy-session.ts';

/** Keeps the tables of callers of all proxies equal to the desired one: a snapshot at first, then what changes. */
export class CallerPublisher {
  readonly #sessions = new Set<ProxySession>();
  #callers: ReadonlyMap<string, Caller> = new Map();
  #revision = 1;
  #witness: Witness | undefined;
  readonly #known = Promise.withResolvers<undefined>();

  /** Revision of the table that was published last. */
  get revision(): number {
    return this.#revision;
  }

  /** Settles with the first whole table. Before that, an address that is missing says nothing. */
  get known(): Promise<undefined> {
    return this.#known.promise;
  }

  caller(address: string): Caller | undefined {
    return this.#callers.get(address);
  }

  add(session: ProxySession): void {
    this.#sessions.add(session);
    if (this.#witness !== undefined) session.send(this.#witness);
    session.send({ type: 'snapshot', revision: this.#revision, callers: [...this.#callers.values()] });
  }

  /** Tells all proxies where the monitor can be asked when the engine is silent. */
  setWitness(witness: Witness): void {
    if (JSON.stringify(witness) === JSON.stringify(this.#witness)) return;
    this.#witness = witness;
    for (const session of this.#sessions) session.send(witness);
  }

  remove(session: ProxySession): void {
    this.#sessions.delete(session);
  }

  /** Publishes what differs from the last table. */
  publish(callers: ReadonlyMap<string, Caller>): void {
    const removed: string[] = [];
    const upserted: Caller[] = [];
    for (const [address, known] of this.#callers) {
      const caller = callers.get(address);
      // An address that changes hands is removed first, so that nothing of the old owner outlives it.
      if (caller === undefined || !isSameRun(known, caller)) removed.push(address);
    }
    for (const [address, caller] of callers) {
      const known = this.#callers.get(address);
      if (known === undefined || JSON.stringify(known) !== JSON.stringify(caller)) upserted.push(caller);
    }
    this.#callers = callers;
    if (removed.length === 0 && upserted.length === 0) return;
    this.#revision += 1;
    for (const session of this.#sessions) {
      session.send({ type: 'delta', revision: this.#revision, removed, upserted });
    }
  }

  /** Publishes the whole table anew, after everything was read from the engine. */
  publishAll(callers: ReadonlyMap<string, Caller>): void {
    this.#callers = callers;
    this.#revision += 1;
    this.#known.resolve(undefined);
    for (const session of this.#sessions) {
      session.send({ type: 'snapshot', revision: this.#revision, callers: [...callers.values()] });
    }
  }
}

function isSameRun(a: Caller, b: Caller): boolean {
  return a.containerId === b.containerId && a.startedAt === b.startedAt;
}
