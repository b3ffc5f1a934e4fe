import type { ApplyResult, ProxyTarget } from '../wiring/wiring-method.ts';

/** The bridge network that the proxies are on, as packets on the VM see it. */
export interface ProxyBridge {
  readonly interfaceName: string;
  /** The bridge's own address, which is the proxies' gateway. */
  readonly gateway: string;
}

export interface VmRulesWanted {
  readonly guard: 'enforce' | 'audit' | 'off';
  /** Whether containers' requests are sent to the proxy here (`host`), or only guarded. */
  readonly redirect: boolean;
  /** Absent until the proxy network is known: what an earlier monitor left of the redirect stays until then. */
  readonly proxyBridge?: Pick<ProxyBridge, 'interfaceName'>;
  /**
   * The addresses on that network that belong to proxies, serving or not: they alone may reach IMDS from there. Absent:
   * whoever is on that network may.
   */
  readonly proxyAddresses?: readonly string[];
  /**
   * Absent while no proxy serves: requests wait (their packets are dropped) until one does. Before the first
   * {@link VmRules.switchTarget} a target that an earlier monitor left stays, if it is one of {@link proxyAddresses}.
   */
  readonly target?: Pick<ProxyTarget, 'address' | 'port'>;
}

/** The packet rules in the VM's own network namespace: the redirect of `host` and the guard, in one ruleset. */
export interface VmRules {
  /** Where requests are sent, as last ensured or switched; undefined when they wait or are not redirected. */
  readonly target: VmRulesWanted['target'];

  /** Reads what is there and makes it as wanted, in one transaction. Nobody else's rules are touched. */
  ensure(wanted: VmRulesWanted): Promise<ApplyResult>;

  /**
   * Sends new connections to another proxy, or to none. `flushFlows` also forgets the flows to the old one: needed when
   * it died (their packets would go on to it), not wanted when it drains.
   */
  switchTarget(target: VmRulesWanted['target'], options: { readonly flushFlows: boolean }): Promise<void>;

  /** Everything that differs from what was last ensured, in words; empty when all holds. */
  drift(): Promise<readonly string[]>;

  /** Removes every trace. */
  remove(): Promise<void>;
}
