import { codeOf, messageOf, type Clock, type Logger, type Timer } from '@msi-proxy/shared';
import { backoffMillis } from '../reconcile/backoff.ts';
import type { StatusServer } from './status-server.ts';

export interface StatusServiceOptions {
  readonly server: Pick<StatusServer, 'start' | 'stop'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /**
   * Called when another program has the address: of two monitors that start at the same moment neither finds the other before.
   * Rejects when it is one.
   */
  readonly refuseSecond: () => Promise<void>;
}

/** A network that gets its address at boot has it within seconds. */
const RETRY = { minMillis: 250, maxMillis: 10_000 };

/**
 * Serves the status as soon as its address can be had. A network may get its addresses after the monitor has started, and
 * anybody on the VM can take a port: neither may end what keeps containers from IMDS. Another monitor does, which keeps them.
 */
export class StatusService {
  readonly #options: StatusServiceOptions;
  #timer: Timer | undefined;
  #problem: string | undefined;
  #stopped = false;
  readonly #refusal = Promise.withResolvers<never>();

  constructor(options: StatusServiceOptions) {
    this.#options = options;
    // Nobody may be looking when it comes.
    this.#refusal.promise.catch(() => undefined);
  }

  /** Never fulfilled; rejects when the address is another monitor's. */
  get refused(): Promise<never> {
    return this.#refusal.promise;
  }

  /** Waits for nothing: a name that is looked up may take its time. */
  start(): void {
    void this.#listen(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#options.server.stop();
  }

  async #listen(attempt: number): Promise<void> {
    const { server, clock, random, refuseSecond } = this.#options;
    try {
      await server.start();
      if (this.#stopped) await server.stop();
    } catch (err) {
      try {
        if (isTaken(err)) await refuseSecond();
      } catch (refusal) {
        this.#refusal.reject(refusal);
        return;
      }
      if (this.#stopped) return;
      this.#tell(err);
      this.#timer = clock.setTimer(
        () => void this.#listen(attempt + 1),
        backoffMillis(attempt, RETRY, random),
      );
    }
  }

  #tell(err: unknown): void {
    const problem = messageOf(err);
    if (problem !== this.#problem)
      this.#options.logger.warn('The status is not served; it is tried again', { err });
    this.#problem = problem;
  }
}

function isTaken(err: unknown): boolean {
  return err instanceof Error && codeOf(err.cause) === 'EADDRINUSE';
}
