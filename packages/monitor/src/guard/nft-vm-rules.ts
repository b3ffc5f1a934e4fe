import {
  type Clock,
  type CommandRunner,
  type Logger,
  MsiProxyError,
  pause,
  systemClock,
} from '@msi-proxy/shared';
import { forgetFlows } from '../conntrack/forget-flows.ts';
import { Nft } from '../nft/nft.ts';
import { deleteTable, replaceElements } from '../nft/table-definition.ts';
import { TableKeeper } from '../nft/table-keeper.ts';
import { combineResults } from '../wiring/apply-result.ts';
import type { ApplyResult } from '../wiring/wiring-method.ts';
import { DockerUserRule, mayPass } from './docker-user-rule.ts';
import { readInheritedRules, withInheritedRules, type InheritedRules } from './inherited-rules.ts';
import { RoutingBarrier, wantsBarrier } from './routing-barrier.ts';
import { Turns } from './turns.ts';
import type { LentSource, StoppedPackets, VmRules, VmRulesWanted } from './vm-rules.ts';
import {
  LENT_MAP,
  lentElements,
  parseTargetElement,
  STOPPED_SET,
  TARGET_MAP,
  targetElements,
  VM_TABLE,
  vmElements,
  vmTable,
} from './vm-table.ts';

export interface VmRulesDependencies {
  /** Runs programs in the VM's network namespace. */
  readonly runner: CommandRunner;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/**
 * A client that sent a SYN to the dead proxy sends it again a second later, so the program that makes the kernel forget it can
 * wait until the first clients of the next proxy are served: its start stops this process for some 10 ms, and more on a busy VM.
 */
const FORGET_AFTER_MILLIS = 150;

/** What is only a moment in the work of Docker is looked at again, so often. */
const LOOKS_AGAIN = 10;
const LOOK_AGAIN_AFTER_MILLIS = 100;

/** Packet rules by `nft`, with one rule by `iptables` where Docker filters with that. Calls wait for each other. */
export function createVmRules(dependencies: VmRulesDependencies): VmRules {
  return new NftVmRules(dependencies);
}

class NftVmRules implements VmRules {
  readonly #clock: Clock;
  readonly #runner: CommandRunner;
  readonly #logger: Logger;
  readonly #nft: Nft;
  readonly #keeper = new TableKeeper();
  readonly #dockerUserRule: DockerUserRule;
  readonly #barrier: RoutingBarrier;
  #ensured: VmRulesWanted | undefined;
  /** Undefined until the first look at the table. */
  #inherited: InheritedRules | undefined;
  /** A reading that has not begun: whoever asks until then shares it, as all clients do after an event. */
  #nextDrift: Promise<readonly string[]> | undefined;
  /** One at a time: between reading and changing, nothing of ours changes but the target. */
  readonly #turns = new Turns();
  /** Of the target alone. A dead proxy waits for no look, and not for rules that are made anew, which takes some ten programs. */
  readonly #switches = new Turns();
  readonly #closing = new AbortController();
  /** What clients were sent to last, and how often: rules that were being made meanwhile began with another one. */
  #switchedTo: VmRulesWanted['target'];
  #switchCount = 0;
  #stopped: StoppedPackets = new Map();

  constructor({ runner, logger, clock = systemClock }: VmRulesDependencies) {
    this.#clock = clock;
    this.#runner = runner;
    this.#logger = logger;
    this.#nft = new Nft(runner);
    this.#dockerUserRule = new DockerUserRule({ runner, logger });
    this.#barrier = new RoutingBarrier({ runner, logger });
  }

  get target(): VmRulesWanted['target'] {
    return this.#ensured?.redirect === true ? this.#ensured.target : undefined;
  }

  get stopped(): StoppedPackets {
    return this.#stopped;
  }

  get barrier(): VmRules['barrier'] {
    if (this.#ensured === undefined || !wantsBarrier(this.#ensured)) return undefined;
    const { problem } = this.#barrier;
    return problem === undefined ? { state: 'in-place' } : { state: 'unavailable', reason: problem };
  }

  async ensure(known: VmRulesWanted): Promise<ApplyResult> {
    const switchCount = this.#switchCount;
    const current = (wanted: VmRulesWanted) =>
      this.#switchCount === switchCount ? wanted : withTarget(wanted, this.#switchedTo);
    return await this.#turns.change(async () => {
      const inherited = withInheritedRules(known, await this.#readInherited());
      const wanted = current(inherited);
      // The guard first: what goes wrong after it leaves nobody with a direct way.
      const table = await this.#ensureTable(wanted);
      // Read before a switch and written after it, the map would lead back to whom it left.
      let written = wanted;
      const followSwitches = async () => {
        for (let now = current(inherited); now.target !== written.target; now = current(inherited)) {
          await this.#writeTarget(now);
          written = now;
        }
      };
      await followSwitches();
      const barrier = await this.#barrier.ensure(wanted);
      const chain = await this.#ensureDockerUserRule(wanted);
      // A switch writes no map that it does not know of, as while the first one is made.
      await followSwitches();
      this.#ensured = current(inherited);
      this.#prepare();
      // From here on the monitor knows, also that there is none.
      if (known.proxyBridge !== undefined && wanted.target === known.target) this.#inherited = {};
      return combineResults(table, barrier, chain);
    });
  }

  async switchTarget(target: VmRulesWanted['target'], stillAnswering: readonly string[]): Promise<void> {
    // Only the first rules are waited for.
    const turns = this.#ensured === undefined ? this.#turns : this.#switches;
    await turns.change(async () => {
      if (this.#ensured === undefined) {
        throw new MsiProxyError('MSI_INTERNAL', 'The target was switched before there were rules');
      }
      this.#inherited = {};
      this.#switchedTo = target;
      this.#switchCount += 1;
      const previous = this.#ensured;
      this.#ensured = withTarget(previous, target);
      await this.#writeTarget(this.#ensured);
      // A monitor that starts finds a proxy serving and chooses it: its connections must last.
      const isLeft = previous.target?.address !== target?.address || previous.target?.port !== target?.port;
      if (isLeft && previous.target !== undefined && !stillAnswering.includes(previous.target.address))
        this.#forgetSoon(previous.target.address);
      else this.#prepare();
    });
  }

  async setProxies(proxyAddresses: readonly string[]): Promise<void> {
    await this.#turns.change(async () => {
      const before = this.#ensured;
      if (before === undefined) {
        throw new MsiProxyError('MSI_INTERNAL', 'Proxies were named before there were rules');
      }
      const wanted = { ...before, proxyAddresses };
      this.#ensured = wanted;
      const table = vmTable(wanted);
      if (table !== undefined) {
        await this.#keeper.replace(this.#nft, table, vmElements(wanted));
        // As in ensure: what was written after a switch must not lead back to whom it left.
        let written: VmRulesWanted = wanted;
        for (let now = this.#ensured; now.target !== written.target; now = this.#ensured) {
          await this.#writeTarget(now);
          written = now;
        }
      }
      await this.#barrier.change(before, wanted);
      this.#prepare();
    });
  }

  async lendSources(sources: readonly LentSource[], connect: () => Promise<void>): Promise<void> {
    await this.#turns.change(async () => {
      if (this.#ensured?.standIn === undefined) {
        throw new MsiProxyError('MSI_INTERNAL', 'There is no stand-in to lend addresses to');
      }
      try {
        await this.#nft.loadPrepared(replaceElements(VM_TABLE, LENT_MAP, lentElements(sources)));
        this.#prepare();
        await connect();
      } finally {
        await this.#nft.loadPrepared(replaceElements(VM_TABLE, LENT_MAP, []));
        this.#prepare();
      }
    });
  }

  async drift(): Promise<readonly string[]> {
    for (let looks = 0; ; looks += 1) {
      const differences = await this.#readDrift();
      if (looks === LOOKS_AGAIN || differences.length === 0 || !differences.every(mayPass))
        return differences;
      // Not in a turn: whatever changes meanwhile does not wait for Docker.
      await pause(this.#clock, LOOK_AGAIN_AFTER_MILLIS, this.#closing.signal);
    }
  }

  async remove(): Promise<void> {
    await this.#turns.change(async () => {
      this.#ensured = undefined;
      this.#inherited = {};
      this.#closing.abort();
      this.#nft.close();
      // First what would go on stopping packets without the table.
      await this.#barrier.remove();
      await this.#removeTable();
      await this.#dockerUserRule.remove();
    });
  }

  async #readDrift(): Promise<readonly string[]> {
    this.#nextDrift ??= this.#turns.look(async () => {
      this.#nextDrift = undefined;
      for (;;) {
        // Half a switch is no drift: what is known of the target is ahead of the map until that is written.
        await this.#switches.look(() => Promise.resolve());
        const switchCount = this.#switchCount;
        const differences = await this.#differences(this.#ensured);
        if (differences.length === 0 || switchCount === this.#switchCount) return differences;
      }
    });
    return await this.#nextDrift;
  }

  async #differences(wanted: VmRulesWanted | undefined): Promise<string[]> {
    if (wanted === undefined) return ['no rules were ensured yet'];
    return [
      ...(await this.#tableDifferences(wanted)),
      ...(await this.#barrier.differences(wanted)),
      ...(await this.#dockerUserDifferences(wanted)),
    ];
  }

  async #readInherited(): Promise<InheritedRules> {
    if (this.#inherited === undefined) {
      const table = await this.#nft.read(VM_TABLE);
      this.#inherited = table === undefined ? {} : readInheritedRules(table);
    }
    return this.#inherited;
  }

  async #ensureTable(wanted: VmRulesWanted): Promise<ApplyResult> {
    const table = vmTable(wanted);
    if (table === undefined) return (await this.#removeTable()) ? 'applied' : 'unchanged';

    const elements = vmElements(wanted);
    const { result, previousElements } = await this.#keeper.ensure(this.#nft, table, elements);
    // A target that changed while no monitor ran: nobody has seen to the connections to the old one.
    for (const previous of (previousElements.get(TARGET_MAP) ?? []).map(parseTargetElement)) {
      const isKept = [wanted.target, wanted.standIn].some(kept => kept?.address === previous?.address);
      if (previous === undefined || isKept) continue;
      await this.#forgetFlowsTo(previous.address);
    }
    return result;
  }

  /** @throws {MsiProxyError} as {@link Nft.load} */
  async #writeTarget({ redirect, proxyBridge, target, standIn }: VmRulesWanted): Promise<void> {
    if (!redirect || proxyBridge === undefined) return;
    await this.#nft.loadPrepared(replaceElements(VM_TABLE, TARGET_MAP, targetElements(target ?? standIn)));
  }

  /** The next switch must not wait for a program to start. */
  #prepare(): void {
    if (this.#ensured?.redirect === true && this.#ensured.proxyBridge !== undefined) this.#nft.prepare();
  }

  async #ensureDockerUserRule({ redirect }: VmRulesWanted): Promise<ApplyResult> {
    if (redirect) return await this.#dockerUserRule.ensure();
    return (await this.#dockerUserRule.remove()) ? 'applied' : 'unchanged';
  }

  async #tableDifferences(wanted: VmRulesWanted): Promise<string[]> {
    const table = vmTable(wanted);
    const actual = await this.#nft.read(VM_TABLE);
    this.#stopped = actual?.packets.get(STOPPED_SET) ?? new Map();
    if (table !== undefined) return this.#keeper.differencesOf(actual, table, vmElements(wanted));
    return actual === undefined ? [] : [`the table ip ${VM_TABLE} is there, but not wanted`];
  }

  async #dockerUserDifferences({ redirect }: VmRulesWanted): Promise<string[]> {
    return redirect ? await this.#dockerUserRule.differences() : [];
  }

  async #removeTable(): Promise<boolean> {
    if ((await this.#nft.read(VM_TABLE)) === undefined) return false;
    await this.#nft.load(deleteTable(VM_TABLE));
    return true;
  }

  /** The next switch waits for it: what is forgotten then may be flows to the same address again. */
  #forgetSoon(address: string): void {
    const forgotten = this.#switches.change(async () => {
      await pause(this.#clock, FORGET_AFTER_MILLIS, this.#closing.signal);
      await this.#forgetFlowsTo(address);
      this.#prepare();
    });
    forgotten.catch((err: unknown) => {
      this.#logger.warn('Connections to a proxy that is gone could not be forgotten', { err });
    });
  }

  async #forgetFlowsTo(address: string): Promise<void> {
    await forgetFlows({ runner: this.#runner, logger: this.#logger, sentTo: address });
  }
}

function withTarget(
  { guard, redirect, proxyBridge, linkBridge, proxyAddresses, standIn, bystanders }: VmRulesWanted,
  target: VmRulesWanted['target'],
): VmRulesWanted {
  return {
    guard,
    redirect,
    ...(proxyBridge !== undefined && { proxyBridge }),
    ...(linkBridge !== undefined && { linkBridge }),
    ...(proxyAddresses !== undefined && { proxyAddresses }),
    ...(standIn !== undefined && { standIn }),
    ...(bystanders !== undefined && { bystanders }),
    ...(target !== undefined && { target }),
  };
}
