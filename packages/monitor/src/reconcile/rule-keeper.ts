import {
  messageOf,
  type Caller,
  type Clock,
  type GuardStatus,
  type Logger,
  type StoppedSource,
  type Timer,
} from '@msi-proxy/shared';
import type { ProxyBridge, VmRules, VmRulesWanted } from '../guard/vm-rules.ts';
import type { RuleFollower } from '../guard/rule-follower.ts';
import type { ProxyEndpoint } from '../wiring/proxy-endpoint.ts';
import type { ProxyTarget } from '../wiring/wiring-method.ts';
import { StoppedSources } from './stopped-sources.ts';
import { WorkQueue } from './work-queue.ts';

export interface RuleKeeperOptions {
  readonly rules: VmRules;
  /** Tells when somebody may have changed the rules; absent where nothing can. */
  readonly follower?: Pick<RuleFollower, 'start' | 'stop'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly guard: VmRulesWanted['guard'];
  readonly redirect: boolean;
  readonly linkBridge?: string;
  /** Tells of somebody who is stopped, or in audit mode would be, for the first time. */
  readonly onStopped: (source: StoppedSource) => void;
  /** Tells of a change by somebody else that was undone. */
  readonly onRepair: (differences: readonly string[]) => void;
}

const KEY = 'rules';
/** How long what another program did to the rules may last when neither the follower nor an event tells of it. */
const LOOK_MILLIS = 10_000;
const RETRY = { minMillis: 250, maxMillis: 30_000 };

/** Keeps the packet rules of the VM as they should be. */
export class RuleKeeper {
  readonly #options: RuleKeeperOptions;
  readonly #queue: WorkQueue;
  #bridge: ProxyBridge | undefined;
  #proxyAddresses: readonly string[] = [];
  #standIn: ProxyEndpoint | undefined;
  /** Something was set that is not in the rules yet. */
  #outdated = false;
  #target: ProxyTarget | undefined;
  #problem: string | undefined = 'not set yet';
  #repairs = 0;
  #lastRepair: GuardStatus['lastRepair'];
  #callers: ReadonlyMap<string, Caller> = new Map();
  #bystanders: readonly string[] = [];
  readonly #stopped = new StoppedSources();
  #lookTimer: Timer | undefined;
  #isStopped = false;

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
    const counts = {
      repairs: this.#repairs,
      ...(this.#lastRepair !== undefined && { lastRepair: this.#lastRepair }),
      stopped: this.#stopped.list,
    };
    const { unavailable, barrier } = this.#options.rules;
    if (unavailable !== undefined) return { mode, state: 'unavailable', reason: unavailable, ...counts };
    if (this.#problem !== undefined) return { mode, state: 'not-in-place', reason: this.#problem, ...counts };
    const state = mode === 'off' ? 'off' : 'in-place';
    return { mode, state, ...(barrier !== undefined && { barrier }), ...counts };
  }

  /** Makes the rules as they should be; a failure is shown in the status and tried again until it succeeds. */
  async start(): Promise<void> {
    try {
      await this.#ensure();
    } catch (error) {
      this.#fail(error);
      this.#queue.addRateLimited(KEY);
    }
    this.#options.follower?.start(() => this.check());
    this.#scheduleLook();
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

  /** Sets who has which address: for the names of those who are stopped, and for whom audit must not stop. */
  setCallers(callers: ReadonlyMap<string, Caller>): void {
    this.#callers = callers;
    if (this.#options.guard === 'enforce') return;
    const unlabelled = [...callers.values()].filter(({ grant }) => grant.kind === 'unlabelled');
    const bystanders = unlabelled.map(({ address }) => address).sort();
    if (bystanders.join() === this.#bystanders.join()) return;
    this.#bystanders = bystanders;
    this.#outdated = true;
    this.#queue.add(KEY);
  }

  /** Sets where requests go while no proxy serves; nowhere, and they wait, when it is not given. */
  setStandIn(standIn: ProxyEndpoint | undefined): void {
    if (standIn?.address === this.#standIn?.address && standIn?.port === this.#standIn?.port) return;
    this.#standIn = standIn;
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
      this.#outdated = true;
      this.#queue.add(KEY);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#lookTimer?.cancel();
    await this.#options.follower?.stop();
    await this.#queue.stop();
  }

  async #ensure(): Promise<void> {
    const { rules, guard, redirect, linkBridge, logger } = this.#options;
    const isExpected = this.#problem !== undefined || this.#outdated;
    const differences = isExpected ? [] : await rules.drift();
    if (!isExpected && differences.length === 0) return;
    this.#outdated = false;
    const result = await rules.ensure({
      guard,
      redirect,
      ...(linkBridge !== undefined && { linkBridge }),
      ...(this.#bridge && { proxyBridge: this.#bridge, proxyAddresses: this.#proxyAddresses }),
      ...(this.#standIn && { standIn: this.#standIn }),
      ...(this.#target && { target: this.#target }),
      ...(guard !== 'enforce' && { bystanders: this.#bystanders }),
    });
    this.#problem = undefined;
    if (result === 'unchanged') return;
    if (isExpected) logger.info('The packet rules of the VM are in place', { guard, redirect });
    else this.#noteRepair(differences);
  }

  #noteRepair(differences: readonly string[]): void {
    const { clock, onRepair } = this.#options;
    this.#repairs += 1;
    this.#lastRepair = { at: new Date(clock.wallMillis()).toISOString(), differences };
    onRepair(differences);
  }

  #scheduleLook(): void {
    if (this.#isStopped) return;
    const { clock, logger } = this.#options;
    this.#lookTimer = clock.setTimer(() => {
      this.#scheduleLook();
      this.check();
      this.#countStopped().catch((err: unknown) => logger.debug('The guard could not be read', { err }));
    }, LOOK_MILLIS);
  }

  async #countStopped(): Promise<void> {
    const { rules, clock, guard, onStopped } = this.#options;
    if (guard === 'off') return;
    const packets = await rules.stopped();
    const fresh = this.#stopped.take(packets, { callers: this.#callers, nowMillis: clock.wallMillis() });
    for (const source of fresh) onStopped(source);
  }

  #fail(error: unknown): void {
    this.#outdated = true;
    const problem = messageOf(error);
    if (problem !== this.#problem)
      this.#options.logger.error('The packet rules of the VM cannot be set', { err: error });
    this.#problem = problem;
  }
}
