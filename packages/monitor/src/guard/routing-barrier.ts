import {
  type CommandRunner,
  codeOf,
  IMDS_ADDRESS,
  type Logger,
  messageOf,
  MsiProxyError,
  WIRESERVER_ADDRESS,
  WIRESERVER_TCP_PORTS,
} from '@msi-proxy/shared';
import { commandFailure } from '../command-failure.ts';
import { checkedAddress } from '../wiring/proxy-endpoint.ts';
import type { ApplyResult } from '../wiring/wiring-method.ts';
import { checkedInterface } from './checked-interface.ts';
import { parsePolicyRules, policyRuleText, type PolicyRule, type PolicyRuleReading } from './policy-rule.ts';
import type { VmRulesWanted } from './vm-rules.ts';

/**
 * The mark of packets for which the guard's chain is there to refuse them. Only the barrier reads it, on packets to
 * Azure's addresses only, and no packet leaves the VM with it.
 */
export const VOUCHED_MARK = 0x4d_53_49_31;

/** How our rules are told from others'. A number that iproute2's `rt_protos` gives to nobody. */
const PROTOCOL = '169';

/** Before those that administrators and network plug-ins use for single networks. */
const PRIORITY = { fromVm: 40, vouched: 41, proxies: 42, imds: 43, wireServer: 44, end: 49 } as const;

const PASS = { goto: PRIORITY.end } as const;
const AZURE_ADDRESSES = [IMDS_ADDRESS, WIRESERVER_ADDRESS];

/**
 * Rules of policy routing that stop what is forwarded to IMDS and WireServer, unless the guard's packet rules vouch that
 * they see to it themselves. So whoever takes the packet rules away opens nothing. See docs/adr/0022.
 */
export class RoutingBarrier {
  readonly #runner: CommandRunner;
  readonly #logger: Logger;
  #problem: string | undefined;

  constructor({ runner, logger }: { readonly runner: CommandRunner; readonly logger: Logger }) {
    this.#runner = runner;
    this.#logger = logger;
  }

  /** Why there is none although it is wanted. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Makes the rules as wanted. Where that cannot be, says so in {@link problem}: the packet rules do without. */
  async ensure(wanted: VmRulesWanted): Promise<ApplyResult> {
    try {
      const result = await this.#ensure(wanted);
      this.#problem = undefined;
      return result;
    } catch (error) {
      this.#fail(error);
      return 'unchanged';
    }
  }

  /**
   * Makes of one wanted state another one, for whoever knows that the first holds: nothing is read, unless there is a
   * {@link problem}, which may be over.
   */
  async change(before: VmRulesWanted, wanted: VmRulesWanted): Promise<void> {
    const texts = barrierRules(wanted).map(policyRuleText);
    const textsBefore = barrierRules(before).map(policyRuleText);
    const missing = texts.filter(text => !textsBefore.includes(text));
    const surplus = textsBefore.filter(text => !texts.includes(text));
    if (missing.length + surplus.length === 0) return;
    if (this.#problem !== undefined) {
      await this.ensure(wanted);
      return;
    }
    await this.#change([...additions(missing), ...deletions(surplus)]);
  }

  /** In words, how the rules differ from what {@link ensure} makes; empty when they do not, or cannot be. */
  async differences(wanted: VmRulesWanted): Promise<string[]> {
    try {
      const { missing, surplus } = compare(wanted, await this.#read());
      // All of it is there: what failed before has passed. What differs is for ensure, which may fail again.
      if (missing.length + surplus.length === 0) this.#problem = undefined;
      return [
        ...missing.map(text => `the routing rule "${text}" is missing`),
        ...surplus.map(text => `the routing rule "${text}" is not wanted`),
      ];
    } catch (error) {
      this.#fail(error);
      return [];
    }
  }

  /** @returns whether there was any of it */
  async remove(): Promise<boolean> {
    let ours: readonly string[];
    try {
      ours = (await this.#read()).map(({ text }) => text);
    } catch (error) {
      // Without the program, or without policy routing in the kernel, there never were any.
      if (codeOf(error) === 'MSI_WIRING_NO_CAPABILITY' || isUnsupported(error)) return false;
      throw error;
    }
    if (ours.length === 0) return false;
    await this.#change(deletions(ours));
    return true;
  }

  async #ensure(wanted: VmRulesWanted): Promise<ApplyResult> {
    const ours = await this.#read();
    const { missing, surplus } = compare(wanted, ours);
    if (missing.length === 0 && surplus.length === 0) return 'unchanged';
    await this.#change([...additions(missing), ...deletions(surplus)]);
    const after = compare(wanted, await this.#read());
    if (after.missing.length + after.surplus.length > 0) {
      // Kernels before 4.17 take a rule without what they do not know of it: it would stop DNS too.
      await this.#runner.run('ip', ['-4', '-force', '-batch', '-'], { stdin: batch(deletions(missing)) });
      throw new MsiProxyError(
        'MSI_WIRING_NOT_EFFECTIVE',
        'The routing rules were set, but are not what is read back: the kernel is too old, or another program changes them',
      );
    }
    return ours.length === 0 ? 'applied' : 'repaired';
  }

  async #read(): Promise<PolicyRuleReading[]> {
    const result = await this.#runner.run('ip', ['-4', '-json', 'rule', 'show']);
    if (result.exitCode !== 0) throw commandFailure('ip', result, 'read the routing rules');
    return parsePolicyRules(result.stdout || '[]').filter(
      ({ priority, protocol }) =>
        protocol === PROTOCOL && priority >= PRIORITY.fromVm && priority <= PRIORITY.end,
    );
  }

  async #change(lines: readonly string[]): Promise<void> {
    const result = await this.#runner.run('ip', ['-4', '-batch', '-'], { stdin: batch(lines) });
    if (result.exitCode !== 0) throw commandFailure('ip', result, 'change the routing rules');
  }

  #fail(error: unknown): void {
    const problem = messageOf(error);
    if (problem !== this.#problem) {
      this.#logger.warn(
        'There is no barrier in the routing: the way to IMDS is open for a moment when others flush the packet rules',
        { err: error },
      );
    }
    this.#problem = problem;
  }
}

/** Whether there should be any. In audit mode nobody is stopped. */
export function wantsBarrier({ guard }: Pick<VmRulesWanted, 'guard'>): boolean {
  return guard === 'enforce';
}

/**
 * In an order in which each of them may come last: ways first, then what stops. `goto` needs its target, and an address
 * that is forwarded to is routed back by the same rules (`rp_filter`), so that the proxies have a rule of their own.
 */
export function barrierRules(wanted: VmRulesWanted): PolicyRule[] {
  if (!wantsBarrier(wanted)) return [];
  return [
    { priority: PRIORITY.end, action: 'nop' },
    ...AZURE_ADDRESSES.map(to => ({ priority: PRIORITY.fromVm, to, iif: 'lo', action: PASS })),
    ...AZURE_ADDRESSES.map(to => ({ priority: PRIORITY.vouched, to, mark: VOUCHED_MARK, action: PASS })),
    ...proxyRules(wanted),
    // Silence, not a refusal: a SYN is sent again after a second, and the redirect is back by then.
    { priority: PRIORITY.imds, to: IMDS_ADDRESS, action: 'blackhole' },
    ...WIRESERVER_TCP_PORTS.map((tcpPort): PolicyRule => ({
      priority: PRIORITY.wireServer,
      to: WIRESERVER_ADDRESS,
      tcpPort,
      action: 'prohibit',
    })),
  ];
}

function proxyRules({ proxyBridge, proxyAddresses }: VmRulesWanted): PolicyRule[] {
  if (proxyBridge === undefined) return [];
  const rule = {
    priority: PRIORITY.proxies,
    to: IMDS_ADDRESS,
    iif: checkedInterface(proxyBridge.interfaceName),
    action: PASS,
  };
  if (proxyAddresses === undefined) return [rule];
  return [...new Set(proxyAddresses.map(checkedAddress))].map(from => ({ ...rule, from }));
}

function compare(wanted: VmRulesWanted, ours: readonly PolicyRuleReading[]) {
  const texts = barrierRules(wanted).map(policyRuleText);
  const there = new Set(ours.map(({ text }) => text));
  // Until the proxies are known, those of the monitor before keep their way.
  const isKept = ({ priority }: PolicyRuleReading) =>
    wantsBarrier(wanted) && wanted.proxyBridge === undefined && priority === PRIORITY.proxies;
  return {
    missing: texts.filter(text => !there.has(text)),
    surplus: ours.filter(rule => !texts.includes(rule.text) && !isKept(rule)).map(({ text }) => text),
  };
}

function additions(texts: readonly string[]): string[] {
  return texts.map(text => `rule add ${text} protocol ${PROTOCOL}`);
}

/** What stops goes before the ways, and the target of the ways last. */
function deletions(texts: readonly string[]): string[] {
  const priorityOf = (text: string) => Number(/^priority (\d+)/.exec(text)?.[1]);
  const rank = (text: string) => (priorityOf(text) === PRIORITY.end ? -1 : priorityOf(text));
  return texts
    .toSorted((a, b) => rank(b) - rank(a))
    .map(text => `rule delete ${text.replace(/ \{.*$/, '')} protocol ${PROTOCOL}`);
}

function batch(lines: readonly string[]): string {
  return [...lines, ''].join('\n');
}

function isUnsupported(error: unknown): boolean {
  return error instanceof MsiProxyError && /not supported/i.test(String(error.details['stderr']));
}
