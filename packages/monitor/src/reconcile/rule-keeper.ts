import { messageOf, type Clock, type GuardStatus, type Logger } from '@msi-proxy/shared';
import type { ProxyBridge, VmRules, VmRulesWanted } from '../guard/vm-rules.ts';
import type { ProxyTarget } from '../wiring/wiring-method.ts';
import { WorkQueue } from './work-queue.ts';

export interface RuleKeeperOptions {
  readonly rules: VmRules;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly guard: VmRulesWanted['guard'];
  readonly redirect: boolean;
}

const KEY = 'rules';
const RETRY = { minMillis: 250, maxMillis: 30_000 };

/** Keeps the packet rules of the VM as they should be. */
export class RuleKeeper {
  readonly #options: RuleKeeperOptions;
  readonly #queue: WorkQueue;
  #bridge: ProxyBridge | undefined;
  #proxyAddresses: readonly string[] = [];
  /** Something was set that is not in the rules yet. */
  #outdated = false;
  #target: ProxyTarget | undefined;
  #problem: string | undefined = 'not set yet';
  /** How often somebody else's change had to be undone; for the log line that says so. */
  #repairs = 0;

  constructor(options: RuleKeeperOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({
      clock: options.clock,
      concurrency: 1,
      backoff: RETRY,
      random: options.random,
      work: () => this.#ensure(),
      onError: (_key, error) => this.#fail(error),
    });
  }

  get status(): GuardStatus {
    const mode = this.#options.guard;
    if (this.#problem !== undefined) return { mode, state: 'not-in-place', reason: this.#problem };
    return { mode, state: mode === 'off' ? 'off' : 'in-place' };
  }

  /** Makes the rules as they should be; a failure is shown in the status and tried again until it succeeds. */
  async start(): Promise<void> {
    try {
      await this.#ensure();
    } catch (error) {
      this.#fail(error);
      this.#queue.addRateLimited(KEY);
    }
  }

  /** Looks at the rules again: networks have changed, and Docker may have put its rules above ours. */
  check(): void {
    this.#queue.add(KEY);
  }

  /**
   * Sets by which network the proxies go, and which addresses on it are theirs: only they may reach IMDS from there,
   * whoever else is on it.
   */
  setProxies(bridge: ProxyBridge, addresses: readonly string[]): void {
    const sorted = [...addresses].sort();
    if (bridge.interfaceName === this.#bridge?.interfaceName && sorted.join() === this.#proxyAddresses.join())
      return;
    this.#bridge = bridge;
    this.#proxyAddresses = sorted;
    this.#outdated = true;
    this.#queue.add(KEY);
  }

  /** Sends new connections elsewhere. */
  async switchTarget(
    target: ProxyTarget | undefined,
    options: { readonly flushFlows: boolean },
  ): Promise<void> {
    try {
      // A proxy must be let through to IMDS before clients are sent to it.
      if (this.#outdated && target !== undefined) await this.#ensure();
      this.#target = target;
      await this.#options.rules.switchTarget(target, options);
    } catch (error) {
      this.#options.logger.warn('The proxy could not be switched at once; the rules are made anew', {
        err: error,
      });
      this.#queue.add(KEY);
    }
  }

  async stop(): Promise<void> {
    await this.#queue.stop();
  }

  async #ensure(): Promise<void> {
    const { rules, guard, redirect, logger } = this.#options;
    const isExpected = this.#problem !== undefined || this.#outdated;
    this.#outdated = false;
    const result = await rules.ensure({
      guard,
      redirect,
      ...(this.#bridge && { proxyBridge: this.#bridge, proxyAddresses: this.#proxyAddresses }),
      ...(this.#target && { target: this.#target }),
    });
    this.#problem = undefined;
    if (result === 'repaired' && !isExpected) {
      this.#repairs += 1;
      logger.warn('The packet rules of the VM had changed and were mended', { repairs: this.#repairs });
    } else if (result !== 'unchanged')
      logger.info('The packet rules of the VM are in place', { guard, redirect });
  }

  #fail(error: unknown): void {
    this.#outdated = true;
    const problem = messageOf(error);
    if (problem !== this.#problem)
      this.#options.logger.error('The packet rules of the VM cannot be set', { err: error });
    this.#problem = problem;
  }
}
