import { closeSync, openSync, readSync } from 'node:fs';

/** A container of the churn, as long as it is of interest. */
export interface Asker {
  /** Whose token it may get; `undefined` for a container without the label, which may get none. */
  readonly objectId: string | undefined;
}

/** A request that was answered with a token, or not; milliseconds since the epoch. */
export interface Answered {
  readonly name: string;
  readonly beganAt: number;
  readonly endedAt: number;
}

/** Milliseconds since the epoch. */
export interface Excuse {
  readonly from: number;
  readonly to: number;
}

export interface Failure extends Answered {
  readonly outcome: string;
}

const CHUNK_BYTES = 1024 * 1024;

/** No request takes this long as long as a proxy serves: one that is under way when its container is stopped has failed. */
const UNANSWERED_MILLIS = 5_000;

/** What the engine and Docker's network need to follow a change. */
const GRACE_MILLIS = 1_000;

/** Follows the file that all clients write, and compares whose tokens they got with whose they may get. */
export class Requests {
  readonly #file: number;
  readonly #askers = new Map<string, Asker>();
  readonly #underWay = new Map<string, number>();
  readonly #failures: Failure[] = [];
  readonly #durationsMillis: number[] = [];
  readonly #firsts = new Map<string, Answered>();
  readonly #onAnswered: (request: Answered) => void;
  #rest = '';
  #offset = 0;
  #answered = 0;
  #wrongIdentities = 0;
  #strangersServed = 0;
  #strangersRefused = 0;

  /** @param onAnswered hears of each request of a client that got a token */
  constructor(path: string, onAnswered: (request: Answered) => void = () => undefined) {
    this.#onAnswered = onAnswered;
    this.#file = openSync(path, 'r');
  }

  get answered(): number {
    return this.#answered;
  }

  get wrongIdentities(): number {
    return this.#wrongIdentities;
  }

  get strangersServed(): number {
    return this.#strangersServed;
  }

  get strangersRefused(): number {
    return this.#strangersRefused;
  }

  /** Of clients with the label. */
  get failures(): readonly Failure[] {
    return this.#failures;
  }

  /** Of requests that were answered with a token, in milliseconds. */
  get durationsMillis(): readonly number[] {
    return this.#durationsMillis;
  }

  /** The first request of each client, in the order in which they were answered. */
  get firsts(): readonly Answered[] {
    return [...this.#firsts.values()];
  }

  failuresOutside(excuses: readonly Excuse[]): readonly Failure[] {
    return this.#failures.filter(
      ({ beganAt, endedAt }) =>
        !excuses.some(({ from, to }) => beganAt <= to + GRACE_MILLIS && endedAt >= from),
    );
  }

  /** Before the container starts. */
  add(name: string, asker: Asker): void {
    this.#askers.set(name, asker);
  }

  /** The container is going to be stopped now; what it asks from here on counts no more. */
  stopping(name: string): void {
    this.read();
    const beganAt = this.#underWay.get(name);
    const now = Date.now();
    if (beganAt !== undefined && now - beganAt > UNANSWERED_MILLIS)
      this.#fail({ name, beganAt, endedAt: now, outcome: 'no answer until it was stopped' });
    this.#underWay.delete(name);
    this.#askers.delete(name);
  }

  read(): void {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (;;) {
      const length = readSync(this.#file, buffer, 0, CHUNK_BYTES, this.#offset);
      if (length === 0) return;
      this.#offset += length;
      const lines = (this.#rest + buffer.toString('latin1', 0, length)).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line.split(' '));
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  #take([kind, name = '', micros, outcome = '', claims = '']: readonly string[]): void {
    const asker = this.#askers.get(name);
    if (asker === undefined) return;
    const atMillis = Number(micros) / 1_000;
    if (kind === 'B') {
      this.#underWay.set(name, atMillis);
      return;
    }
    const beganAt = this.#underWay.get(name);
    if (beganAt === undefined) return;
    this.#underWay.delete(name);
    if (asker.objectId === undefined) {
      if (outcome === '200') this.#strangersServed += 1;
      else this.#strangersRefused += 1;
    } else if (outcome !== '200') this.#fail({ name, beganAt, endedAt: atMillis, outcome });
    else {
      this.#answered += 1;
      this.#durationsMillis.push(atMillis - beganAt);
      const request = { name, beganAt, endedAt: atMillis };
      if (!this.#firsts.has(name)) this.#firsts.set(name, request);
      this.#onAnswered(request);
      if (objectIdOf(claims) !== asker.objectId) this.#wrongIdentities += 1;
    }
  }

  #fail(failure: Failure): void {
    if (this.#askers.get(failure.name)?.objectId !== undefined) this.#failures.push(failure);
  }
}

function objectIdOf(claims: string): unknown {
  const { oid } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { oid?: unknown };
  return oid;
}
