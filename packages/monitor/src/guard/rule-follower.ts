import { pause, type Clock, type CommandRunner, type Logger, type Timer } from '@msi-proxy/shared';
import { backoffMillis } from '../reconcile/backoff.ts';
import { VM_TABLE } from './vm-table.ts';

export interface RuleFollowerOptions {
  /** Runs programs in the VM's network namespace. */
  readonly runner: CommandRunner;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A number from 0 up to, not including, 1, as `Math.random`. */
  readonly random: () => number;
}

/** Chains of iptables that {@link DockerUserRule} looks at; those of `iptables-legacy` are not told of. */
const FOREIGN_CHAINS = ['DOCKER-USER', 'FORWARD'];

/** What `nft monitor` prints of our table and those chains, and when the kernel had more to tell than it could read. */
const RELEVANT = new RegExp(`\\b(?:${[VM_TABLE, ...FOREIGN_CHAINS].join('|')})\\b|^# ERROR`);

/** At most so often is told of changes. Our own are among them, and Docker makes many at once. */
const GAP_MILLIS = 250;

const RESTART = { minMillis: 500, maxMillis: 60_000 };
const HEALTHY_AFTER_MILLIS = 30_000;

/**
 * Follows what happens to the packet rules, whoever does it, by `nft monitor`, and so that whoever looks at them need not
 * wait for the next time. It only says that a look is due: nothing is concluded from what is printed. Looks from time to
 * time stay necessary, for what it misses.
 *
 * One that outlives a monitor that was killed ends by its broken pipe at the next change, which a monitor makes at its start.
 */
export class RuleFollower {
  readonly #options: RuleFollowerOptions;
  readonly #stopping = new AbortController();
  #onChange: () => void = () => undefined;
  #running: Promise<void> | undefined;
  #gap: Timer | undefined;
  #hasMore = false;

  constructor(options: RuleFollowerOptions) {
    this.#options = options;
  }

  start(onChange: () => void): void {
    this.#onChange = onChange;
    this.#running ??= this.#run(this.#stopping.signal);
  }

  /** Settles when the program has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#gap?.cancel();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { runner, clock, random } = this.#options;
    if (runner.follow === undefined) return;
    for (let attempt = 0; !isAborted(signal); attempt += 1) {
      const startMillis = clock.monotonicMillis();
      await this.#followOnce(signal);
      if (isAborted(signal)) return;
      if (clock.monotonicMillis() - startMillis >= HEALTHY_AFTER_MILLIS) attempt = 0;
      await pause(clock, backoffMillis(attempt, RESTART, random), signal);
      // For what happened meanwhile.
      this.#noteChange();
    }
  }

  async #followOnce(signal: AbortSignal): Promise<void> {
    const { runner, logger } = this.#options;
    const onLine = (line: string) => {
      if (RELEVANT.test(line)) this.#noteChange();
    };
    try {
      const { exitCode, stderr } = (await runner.follow?.('nft', ['monitor'], { onLine, signal })) ?? {};
      if (!isAborted(signal)) {
        logger.debug('nft monitor ended; it is started again', { exitCode, stderr });
      }
    } catch (err) {
      if (!isAborted(signal)) logger.debug('Changes of packet rules cannot be followed', { err });
    }
  }

  /** Tells of the first change at once, and of all that follow it within the gap together at its end. */
  #noteChange(): void {
    if (isAborted(this.#stopping.signal)) return;
    if (this.#gap !== undefined) {
      this.#hasMore = true;
      return;
    }
    this.#gap = this.#options.clock.setTimer(() => {
      this.#gap = undefined;
      if (!this.#hasMore) return;
      this.#hasMore = false;
      this.#noteChange();
    }, GAP_MILLIS);
    this.#onChange();
  }
}

/** A function, because the compiler takes the property for unchanged across an await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
