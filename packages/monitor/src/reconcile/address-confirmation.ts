import { codeOf, type Caller, type Clock, type Confirmed, type Logger } from '@msi-proxy/shared';
import type { EngineClient } from '../docker/index.ts';
import type { KernelWitness, Sighting } from './kernel-witness.ts';

export interface AddressConfirmationOptions {
  readonly engine: EngineClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who is believed to have the address. */
  readonly caller: (address: string) => Caller | undefined;
  /** Reads the container again; the table follows. */
  readonly readContainer: (id: string) => Promise<void>;
  /** Whether further questions to the engine would wait. */
  readonly engineIsBusy: () => boolean;
  /** Settles when the engine has been asked about the containers that events have named so far. Tells whether all could be read. */
  readonly eventsHandled: () => Promise<boolean>;
  /** Reads what has come and gone; the table follows. */
  readonly readNew: () => Promise<void>;
  /** Absent where this process does not see what the VM's kernel shows. */
  readonly witness?: Pick<KernelWitness, 'look' | 'lookAtAll' | 'isStill'>;
}

/** What was found out when the engine was asked last. */
interface LastReading {
  readonly caller: Caller;
  /** From a time in which it certainly ran: it did before, and it did when the engine was asked after that. */
  readonly sighting: Sighting;
}

/** A proxy does not wait for an engine that takes longer, if it can be seen otherwise that nothing has changed. */
const PATIENCE_MILLIS = 250;

const MAX_LAST_READINGS = 4_096;

/** An address that changes hands more often while it is asked about has no owner to name. */
const MAX_OWNERS = 3;

// An engine that is busy answers an inspect within a second or two; a proxy gives up after ten.
const DEADLINE_MILLIS = 8_000;
const PING_TIMEOUT_MILLIS = 1_000;

/** An engine that hangs, is not there, or is so slow that it looks like that. */
const SILENT_ENGINE: readonly string[] = ['MSI_ENGINE_UNRESPONSIVE', 'MSI_ENGINE_UNREACHABLE'];

/**
 * Answers the proxies' question who has an address now: from a fresh reading of the engine, or of the kernel when the engine
 * takes long, never from memory.
 */
export class AddressConfirmation {
  readonly #options: AddressConfirmationOptions;
  /** By address. */
  readonly #lastReadings = new Map<string, LastReading>();

  constructor(options: AddressConfirmationOptions) {
    this.#options = options;
  }

  /** @returns `undefined` when the engine is alive but does not say in time: then nothing is known */
  async confirm(address: string): Promise<Confirmed['result'] | undefined> {
    if (this.#options.engineIsBusy()) {
      // What the kernel can answer must not keep the engine from what only it can: who has come.
      const unchanged = this.unchanged(address);
      if (unchanged !== undefined) return { kind: 'caller', caller: unchanged };
    }
    const reading = this.#read(address);
    const first = await this.#within(PATIENCE_MILLIS, reading);
    if (first !== 'late' && (first?.kind === 'caller' || first?.kind === 'nobody')) return first;
    const unchanged = this.unchanged(address);
    if (unchanged !== undefined) return { kind: 'caller', caller: unchanged };
    if (first !== 'late') return first;
    const second = await this.#within(PING_TIMEOUT_MILLIS - PATIENCE_MILLIS, reading);
    if (second !== 'late') return second;
    if (!(await this.#engineAnswers())) return { kind: 'engine-unresponsive' };
    const third = await this.#within(DEADLINE_MILLIS, reading);
    return third === 'late' ? undefined : third;
  }

  /**
   * Who has the address for certain, without asking the engine.
   *
   * @returns undefined when that cannot be said
   */
  unchanged(address: string): Caller | undefined {
    const { caller, witness } = this.#options;
    const last = this.#lastReadings.get(address);
    const believed = caller(address);
    if (last === undefined || believed === undefined || !isSameRun(last.caller, believed)) return undefined;
    return witness?.isStill(believed, last.sighting) === true ? believed : undefined;
  }

  #remember(address: string, reading: LastReading): void {
    this.#lastReadings.delete(address);
    this.#lastReadings.set(address, reading);
    // Docker goes through all addresses of a network before one comes again. Whoever is forgotten is asked for.
    const [oldest] = this.#lastReadings.keys();
    if (this.#lastReadings.size > MAX_LAST_READINGS && oldest !== undefined)
      this.#lastReadings.delete(oldest);
  }

  /**
   * Many containers are going to be read.
   *
   * @param believed who has which address, as far as it is known before
   * @returns to be called when they have been read, with the ids of those that were: nothing says of others that they still ran
   *   at the time of this call, but what was seen of them before stays true
   */
  beginReading(believed: ReadonlyMap<string, Caller>): (read: ReadonlySet<string>) => void {
    const { witness, caller } = this.#options;
    if (witness === undefined) return () => undefined;
    const sightings = witness.lookAtAll(believed);
    return read => {
      for (const [address, earlier] of believed) {
        const now = caller(address);
        const sighting = sightings.get(address);
        if (!read.has(earlier.containerId)) continue;
        if (now !== undefined && sighting !== undefined && isSameRun(now, earlier))
          this.#remember(address, { caller: now, sighting });
      }
    };
  }

  async #within<Result>(millis: number, result: Promise<Result>): Promise<Result | 'late'> {
    const late = Promise.withResolvers<'late'>();
    const timer = this.#options.clock.setTimer(() => late.resolve('late'), millis);
    try {
      return await Promise.race([result, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  async #read(address: string): Promise<Confirmed['result'] | undefined> {
    const { caller, readContainer, readNew, logger } = this.#options;
    try {
      let believed = caller(address);
      for (let owners = 0; owners < MAX_OWNERS; owners += 1) {
        if (believed !== undefined) {
          const sighting = this.#options.witness?.look(believed);
          await readContainer(believed.containerId);
          const now = caller(address);
          if (now?.containerId === believed.containerId) {
            if (sighting !== undefined && isSameRun(now, believed))
              this.#remember(address, { caller: now, sighting });
            return { kind: 'caller', caller: now };
          }
        }
        this.#lastReadings.delete(address);
        await readNew();
        believed = caller(address);
        if (believed === undefined) {
          // An engine lists a container only when its start is over, and its first program may ask before that. Events tell of its
          // networks before it starts, and it is read when it has started.
          const allRead = await this.#options.eventsHandled();
          believed = caller(address);
          // One that could not be read may have it.
          if (believed === undefined) return allRead ? { kind: 'nobody' } : undefined;
        }
        // Whoever is found may have been read before the question by somebody who is only done now: it is read once more.
      }
      return undefined;
    } catch (err) {
      logger.debug('An address could not be confirmed', { err, address });
      return (await this.#engineAnswers()) ? undefined : { kind: 'engine-unresponsive' };
    }
  }

  /** Whether anything at all comes from the engine: an error is an answer too. */
  async #engineAnswers(): Promise<boolean> {
    return await this.#options.engine.ping(PING_TIMEOUT_MILLIS).then(
      () => true,
      (error: unknown) => !SILENT_ENGINE.includes(codeOf(error) ?? ''),
    );
  }
}

function isSameRun(a: Caller, b: Caller): boolean {
  return a.containerId === b.containerId && a.startedAt === b.startedAt;
}
