import {
  messageOf,
  pause,
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
/**
 * A look starts some three programs, making the rules anew some ten, and each start stops this process for 10 to 20 ms on a
 * small VM (a fork copies its page tables). After the death of a proxy the next one asks this process for every caller.
 */
const LULL_MILLIS = 300;

/** Keeps the packet rules of the VM as they should be. */
export class RuleKeeper {
  readonly #options: RuleKeeperOptions;
  readonly #queue: WorkQueue;
  #bridge: ProxyBridge | undefined;
  #proxyAddresses: readonly string[] = [];
  #standIn: ProxyEndpoint | undefined;
  /** Something was set that is not in the rules yet. */
  #outdated = false;
  /** The same of nothing but the proxies' addresses. */
  #proxiesOutdated = false;
  #proxiesSet: Promise<void> = Promise.resolve();
  #target: ProxyTarget | undefined;
  /** How often clients were to be sent elsewhere. */
  #switches = 0;
  #problem: string | undefined = 'not set yet';
  #repairs = 0;
  #lastRepair: GuardStatus['lastRepair'];
  #callers: ReadonlyMap<string, Caller> = new Map();
  #bystanders: readonly string[] = [];
  readonly #stopped = new StoppedSources();
  #lookTimer: Timer | undefined;
  /** A proxy died then, and clients were sent elsewhere. */
  #fledAtMillis = -Infinity;
  readonly #stopping = new AbortController();

  constructor(options: RuleKeeperOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({
      clock: options.clock,
      concurrency: 1,
      backoff: RETRY,
      random: options.random,
      work: async () => {
        await this.#admitProxies();
        await this.lull();
        await this.#ensure();
      },
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
    const isSameBridge = bridge.interfaceName === this.#bridge?.interfaceName;
    if (isSameBridge && sorted.join() === this.#proxyAddresses.join()) return;
    this.#bridge = bridge;
    this.#proxyAddresses = sorted;
    if (isSameBridge && this.#problem === undefined) this.#proxiesOutdated = true;
    else this.#outdated = true;
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

  /** Settles when clients that were sent away from a dead proxy have had a moment for themselves: what can wait, waits. */
  async lull(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      const leftMillis = this.#fledAtMillis + LULL_MILLIS - clock.monotonicMillis();
      if (leftMillis <= 0 || signal.aborted) return;
      await pause(clock, leftMillis, signal);
    }
  }

  /**
   * Sends new connections elsewhere.
   *
   * @param stillAnswering addresses of proxies whose connections go on
   */
  async switchTarget(target: ProxyTarget | undefined, stillAnswering: readonly string[]): Promise<void> {
    const turn = (this.#switches += 1);
    try {
      // A proxy must be let through to IMDS before clients are sent to it.
      if (target !== undefined) await (this.#outdated ? this.#ensure() : this.#admitProxies());
      if (turn !== this.#switches) return;
      const isFlight = this.#target !== undefined && !stillAnswering.includes(this.#target.address);
      if (isFlight) this.#fledAtMillis = this.#options.clock.monotonicMillis();
      this.#target = target;
      await this.#options.rules.switchTarget(target, stillAnswering);
    } catch (error) {
      this.#options.logger.warn('The proxy could not be switched at once; the rules are made anew', {
        err: error,
      });
      // Where clients were sent meanwhile is newer.
      if (turn === this.#switches) this.#target = target;
      this.#outdated = true;
      this.#queue.add(KEY);
    }
  }

  /**
   * Leaves the proxy that an earlier monitor sent clients to, unless it is one of these. It goes on serving until this monitor knows
   * better, for instance that it is paused: then clients go to the stand-in, which holds their requests.
   */
  async leaveInheritedUnless(addresses: readonly string[]): Promise<void> {
    const inherited = this.#options.rules.target;
    if (this.#target !== undefined || inherited === undefined) return;
    if (!addresses.includes(inherited.address)) await this.switchTarget(undefined, addresses);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#lookTimer?.cancel();
    await this.#options.follower?.stop();
    await this.#queue.stop();
  }

  /** At once: a new proxy's clients wait for it, and the address of a dead one may be somebody else's next. */
  async #admitProxies(): Promise<void> {
    if (this.#proxiesOutdated && !this.#outdated) {
      this.#proxiesOutdated = false;
      this.#proxiesSet = this.#options.rules.setProxies(this.#proxyAddresses).catch((err: unknown) => {
        this.#options.logger.debug('The proxies could not be set at once; the rules are made anew', { err });
        this.#outdated = true;
        this.#queue.add(KEY);
      });
    }
    await this.#proxiesSet;
  }

  async #ensure(): Promise<void> {
    const { rules, guard, redirect, linkBridge, logger } = this.#options;
    const isExpected = this.#problem !== undefined || this.#outdated;
    const differences = isExpected ? [] : await rules.drift();
    this.#countStopped();
    if (!isExpected && differences.length === 0) return;
    this.#outdated = false;
    this.#proxiesOutdated = false;
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
    if (this.#stopping.signal.aborted) return;
    const { clock } = this.#options;
    this.#lookTimer = clock.setTimer(() => {
      this.#scheduleLook();
      this.check();
    }, LOOK_MILLIS);
  }

  #countStopped(): void {
    const { rules, clock, guard, onStopped } = this.#options;
    if (guard === 'off') return;
    const fresh = this.#stopped.take(rules.stopped, {
      callers: this.#callers,
      nowMillis: clock.wallMillis(),
    });
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
