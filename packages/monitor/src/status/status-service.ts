import { messageOf, type Clock, type Logger, type Timer } from '@msi-proxy/shared';
import { backoffMillis } from '../reconcile/backoff.ts';
import type { StatusServer } from './status-server.ts';

export interface StatusServiceOptions {
  readonly server: Pick<StatusServer, 'start' | 'stop'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

/** A network that gets its address at boot has it within seconds. */
const RETRY = { minMillis: 250, maxMillis: 10_000 };

/**
 * Serves the status as soon as its address can be had. A network may get its addresses after the monitor has started, and
 * anybody on the VM can take a port: neither may end what keeps containers from IMDS.
 */
export class StatusService {
  readonly #options: StatusServiceOptions;
  #timer: Timer | undefined;
  #problem: string | undefined;
  #stopped = false;

  constructor(options: StatusServiceOptions) {
    this.#options = options;
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
    const { server, clock, random } = this.#options;
    try {
      await server.start();
      if (this.#stopped) await server.stop();
    } catch (err) {
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
