import type { GuardStatus } from '@msi-proxy/shared';
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
   * Name of a bridge on which a proxy has the address of IMDS (`attach`): what stays on it may pass, since the kernel shows
   * bridged frames to these rules too (`bridge-nf-call-iptables`).
   */
  readonly linkBridge?: string;
  /**
   * The addresses on that network that belong to proxies, serving or not: they alone may reach IMDS from there. Absent:
   * whoever is on that network may.
   */
  readonly proxyAddresses?: readonly string[];
  /**
   * Absent while no proxy serves: requests go to the {@link standIn}, or wait (their packets are dropped). Before the first
   * {@link VmRules.switchTarget} a target that an earlier monitor left stays, if it is one of {@link proxyAddresses}.
   */
  readonly target?: Pick<ProxyTarget, 'address' | 'port'>;
  /**
   * Where the monitor itself accepts requests while no proxy serves, if they are redirected, and what proxies ask past the
   * engine; absent when it does not.
   */
  readonly standIn?: Pick<ProxyTarget, 'address' | 'port'>;
  /**
   * Addresses whose requests are not sent to the proxy, so that `audit` stops nobody: those of containers without the label.
   * Absent: those of all containers are.
   */
  readonly bystanders?: readonly string[];
}

/** A connection that the monitor makes for a container: its local port, and the container's address. */
export interface LentSource {
  readonly port: number;
  readonly address: string;
}

/** New connections (and single packets) to where no container may go, by source address, since the set was made. */
export type StoppedPackets = ReadonlyMap<string, number>;

/** The packet rules in the VM's own network namespace: the redirect of `host` and the guard, in one ruleset. */
export interface VmRules {
  /** Why there are none and can be none here; absent where there are. */
  readonly unavailable?: string;

  /** The proxy that requests are sent to, as last ensured or switched; undefined when there is none. */
  readonly target: VmRulesWanted['target'];

  /** How it stands with the second barrier, which lies in the routing; undefined where none is wanted. */
  readonly barrier: GuardStatus['barrier'];

  /**
   * What the guard stopped, or in audit mode let pass and counted, as the last {@link drift} saw it. Counting begins at 0 again
   * when the rules are made anew and for an address that was quiet for an hour.
   */
  readonly stopped: StoppedPackets;

  /** Reads what is there and makes it as wanted, in one transaction. Nobody else's rules are touched. */
  ensure(wanted: VmRulesWanted): Promise<ApplyResult>;

  /**
   * Sends new connections to another proxy, or to none. The flows to the old one are forgotten, whose packets would go on to
   * it, unless it may still answer: one that drains must.
   *
   * @param stillAnswering addresses of such proxies. What clients were sent to may have been chosen by an earlier monitor.
   */
  switchTarget(target: VmRulesWanted['target'], stillAnswering: readonly string[]): Promise<void>;

  /**
   * Lets these addresses of the proxies' network reach IMDS, and no others. Reads nothing first, so it takes a third of
   * {@link ensure}'s time.
   *
   * @throws {MsiProxyError} when it did not succeed, after which {@link ensure} is needed
   */
  setProxies(addresses: readonly string[]): Promise<void>;

  /**
   * Gives TCP connections that the monitor opens from {@link VmRulesWanted.standIn}'s address to the proxy the source
   * address of a container, by their local port, while `connect` opens them. They keep it afterwards.
   *
   * @throws {MsiProxyError} `MSI_INTERNAL` when there is no stand-in
   */
  lendSources(sources: readonly LentSource[], connect: () => Promise<void>): Promise<void>;

  /** Everything that differs from what was last ensured, in words; empty when all holds. */
  drift(): Promise<readonly string[]>;

  /** Removes every trace. */
  remove(): Promise<void>;
}
