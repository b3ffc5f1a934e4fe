import { withInheritedRules, type InheritedRules } from '../../src/guard/inherited-rules.ts';
import type { LentSource, StoppedPackets, VmRules, VmRulesWanted } from '../../src/guard/vm-rules.ts';
import type { ApplyResult } from '../../src/wiring/wiring-method.ts';

/** The VM's packet rules as a note of what they should be, on the clock of the test's other observations. */
export class FakeVmRules implements VmRules {
  /** What was asked for, in order: `ensure`, `switch`. */
  readonly log: string[] = [];
  barrier: VmRules['barrier'];
  wanted: VmRulesWanted | undefined;
  /** Every one that there was. */
  readonly allWanted: VmRulesWanted[] = [];
  readonly switches: { readonly address: string | undefined; readonly flushFlows: boolean }[] = [];
  /** Every source that was lent, in order. */
  readonly lent: LentSource[] = [];
  problem: Error | undefined;
  /** What {@link drift} tells until the next {@link ensure}, which then repairs. */
  differences: readonly string[] = [];
  stopped: StoppedPackets = new Map();
  /** Switches take effect when it settles. */
  switching: Promise<void> = Promise.resolve();
  /** The rules are made when it settles. */
  ensuring: Promise<void> = Promise.resolve();
  #target: VmRulesWanted['target'];
  #inherited: InheritedRules = {};

  get target(): VmRulesWanted['target'] {
    return this.#target;
  }

  /** The next monitor finds what the one before has left. */
  beginAnew(): void {
    const { proxyBridge, proxyAddresses } = this.wanted ?? {};
    if (proxyBridge === undefined || proxyAddresses === undefined) return;
    this.#inherited = { proxyBridge, proxyAddresses, ...(this.#target && { target: this.#target }) };
  }

  async ensure(wanted: VmRulesWanted): Promise<ApplyResult> {
    await this.ensuring;
    if (this.problem !== undefined) throw this.problem;
    this.log.push('ensure');
    const isNew = this.wanted === undefined;
    const isRepair = this.differences.length > 0;
    this.wanted = wanted;
    this.allWanted.push(wanted);
    this.#target = withInheritedRules(wanted, this.#inherited).target;
    this.differences = [];
    if (isNew) return 'applied';
    return isRepair ? 'repaired' : 'unchanged';
  }

  async switchTarget(target: VmRulesWanted['target'], stillAnswering: readonly string[]): Promise<void> {
    await this.switching;
    this.log.push('switch');
    this.#inherited = {};
    const left = this.#target;
    this.#target = target;
    const flushFlows = left !== undefined && !stillAnswering.includes(left.address);
    this.switches.push({ address: target?.address, flushFlows });
  }

  async setProxies(proxyAddresses: readonly string[]): Promise<void> {
    await Promise.resolve();
    if (this.problem !== undefined) throw this.problem;
    this.log.push('set proxies');
    this.wanted = { ...this.wanted!, proxyAddresses };
    this.allWanted.push(this.wanted);
  }

  async lendSources(sources: readonly LentSource[], connect: () => Promise<void>): Promise<void> {
    this.lent.push(...sources);
    await connect();
  }

  async drift(): Promise<readonly string[]> {
    return await Promise.resolve(this.differences);
  }

  async remove(): Promise<void> {
    await Promise.resolve();
    this.wanted = undefined;
    this.#target = undefined;
  }
}
