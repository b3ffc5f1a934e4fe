import type { Clock, CommandRunner, Environment, Logger, Timer } from '@msi-proxy/shared';

export interface ServiceManagerOptions {
  readonly environment: Environment;
  readonly runner: Pick<CommandRunner, 'run'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Tells systemd how the monitor is, where systemd has started it with `Type=notify`: it then starts what comes after the
 * monitor, Docker among it, once the guard is there. With `WatchdogSec=` it is told regularly, from the event loop, so that
 * a monitor that hangs is started again. systemd listens on a datagram socket, which Node cannot send to; its own
 * `systemd-notify` does that (NotifyAccess=all).
 */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #isPresent: boolean;
  #watchdog: Timer | undefined;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    this.#isPresent = (options.environment['NOTIFY_SOCKET'] ?? '') !== '';
  }

  /** To be called when the rules are in place, or are known not to be. */
  async ready(): Promise<void> {
    await this.#tell('READY=1');
    const watchdogMicros = Number(this.#options.environment['WATCHDOG_USEC']);
    if (this.#isPresent && watchdogMicros > 0) this.#scheduleWatchdog(watchdogMicros / 1_000);
  }

  async stopping(): Promise<void> {
    this.#watchdog?.cancel();
    await this.#tell('STOPPING=1');
  }

  /** Half of the time leaves room for one that is late (sd_watchdog_enabled(3)). */
  #scheduleWatchdog(timeoutMillis: number): void {
    this.#watchdog = this.#options.clock.setTimer(() => {
      this.#scheduleWatchdog(timeoutMillis);
      void this.#tell('WATCHDOG=1');
    }, timeoutMillis / 2);
  }

  async #tell(state: string): Promise<void> {
    if (!this.#isPresent) return;
    try {
      const { exitCode, stderr } = await this.#options.runner.run('systemd-notify', [state]);
      if (exitCode !== 0) throw new Error(stderr.trim());
    } catch (err) {
      this.#options.logger.warn(`systemd could not be told ${state}`, { err });
    }
  }
}
