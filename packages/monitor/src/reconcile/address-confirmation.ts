import { codeOf, type Caller, type Clock, type Confirmed, type Logger } from '@msi-proxy/shared';
import type { EngineClient } from '../docker/index.ts';

export interface AddressConfirmationOptions {
  readonly engine: EngineClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who is believed to have the address. */
  readonly caller: (address: string) => Caller | undefined;
  /** Reads the container again; the table follows. */
  readonly readContainer: (id: string) => Promise<void>;
  /** Reads what has come and gone; the table follows. */
  readonly readNew: () => Promise<void>;
}

// An engine that is busy answers an inspect within a second or two; a proxy gives up after ten.
const DEADLINE_MILLIS = 8_000;
const PING_TIMEOUT_MILLIS = 1_000;

/** An engine that hangs, or is not there: it gives no address to anybody. */
const SILENT_ENGINE: readonly string[] = ['MSI_ENGINE_UNRESPONSIVE', 'MSI_ENGINE_UNREACHABLE'];

/** Answers the proxies' question who has an address now: from a fresh reading, never from memory. */
export class AddressConfirmation {
  readonly #options: AddressConfirmationOptions;

  constructor(options: AddressConfirmationOptions) {
    this.#options = options;
  }

  /** @returns `undefined` when the engine is alive but does not say in time: then nothing is known */
  async confirm(address: string): Promise<Confirmed['result'] | undefined> {
    const reading = this.#read(address);
    const { promise: late, resolve } = Promise.withResolvers<'late'>();
    let timer = this.#options.clock.setTimer(() => resolve('late'), PING_TIMEOUT_MILLIS);
    const first = await Promise.race([reading, late]);
    timer.cancel();
    if (first !== 'late') return first;
    // An engine that answers nothing at all can have given the address to nobody else.
    if (!(await this.#engineAnswers())) return { kind: 'engine-unresponsive' };
    const { promise: over, resolve: end } = Promise.withResolvers<undefined>();
    timer = this.#options.clock.setTimer(() => end(undefined), DEADLINE_MILLIS);
    const second = await Promise.race([reading, over]);
    timer.cancel();
    return second;
  }

  async #read(address: string): Promise<Confirmed['result'] | undefined> {
    const { caller, readContainer, readNew, logger } = this.#options;
    try {
      const believed = caller(address);
      if (believed !== undefined) {
        await readContainer(believed.containerId);
        const now = caller(address);
        if (now?.containerId === believed.containerId) return { kind: 'caller', caller: now };
      }
      await readNew();
      const found = caller(address);
      return found === undefined ? { kind: 'nobody' } : { kind: 'caller', caller: found };
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
