import { MsiProxyError } from '@msi-proxy/shared';

/** A rule of Linux's policy routing for IPv4 (ip-rule(8)), as far as this product needs them. */
export interface PolicyRule {
  /** Lower ones are asked first. */
  readonly priority: number;
  /** Address that the packet comes from; any when absent. */
  readonly from?: string;
  readonly to?: string;
  /** Interface by which it came in; `lo` for what the machine itself sends. */
  readonly iif?: string;
  /** Packet mark, whole. */
  readonly mark?: number;
  readonly tcpPort?: number;
  /** `goto`: goes on with the rules from this priority on; `blackhole`: silence; `prohibit`: refused by ICMP. */
  readonly action: 'nop' | 'blackhole' | 'prohibit' | { readonly goto: number };
}

/** The rule in the words of `ip rule`, all in one order, so that equal rules are equal texts. */
export function policyRuleText({ priority, from, to, iif, mark, tcpPort, action }: PolicyRule): string {
  return [
    `priority ${priority}`,
    ...(from === undefined ? [] : [`from ${from}`]),
    ...(to === undefined ? [] : [`to ${to}`]),
    ...(iif === undefined ? [] : [`iif ${iif}`]),
    ...(mark === undefined ? [] : [`fwmark 0x${mark.toString(16)}`]),
    ...(tcpPort === undefined ? [] : [`ipproto tcp dport ${tcpPort}`]),
    typeof action === 'string' ? action : `goto ${action.goto}`,
  ].join(' ');
}

/** A rule that the kernel has. */
export interface PolicyRuleReading {
  readonly priority: number;
  /** As {@link policyRuleText}; what such a rule cannot have is in it too, as JSON. */
  readonly text: string;
  /** Who made it, by the number of rtnetlink(7)'s `rtm_protocol`. */
  readonly protocol: string;
}

/**
 * Reads what `ip -json rule show` prints.
 *
 * @throws {MsiProxyError} `MSI_WIRING_COMMAND` when it is not that
 */
export function parsePolicyRules(json: string): PolicyRuleReading[] {
  let listing: unknown;
  try {
    listing = JSON.parse(json);
  } catch (error) {
    throw unreadable(error);
  }
  if (!Array.isArray(listing)) throw unreadable();
  return listing.map((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) throw unreadable();
    return readRule(entry as Record<string, unknown>);
  });
}

/** An interface of that name comes and goes; an unresolved goto says that its target does. Neither is part of the rule. */
const PASSING_KEYS = ['iif_detached', 'unresolved'];

/** Keys that become words of {@link policyRuleText}, in its order, without what says nothing. */
const WORDS: readonly [key: string, word: string, silent?: string][] = [
  ['priority', 'priority'],
  ['src', 'from', 'all'],
  ['dst', 'to'],
  ['iif', 'iif'],
  ['fwmark', 'fwmark'],
  ['fwmask', 'fwmask', '0xffffffff'],
  ['ipproto', 'ipproto'],
  ['dport', 'dport'],
  ['goto', 'goto'],
];

function readRule(rule: Readonly<Record<string, unknown>>): PolicyRuleReading {
  const words = WORDS.filter(([key, , silent]) => rule[key] !== undefined && rule[key] !== silent).map(
    ([key, word]) => `${word} ${textOf(rule[key])}`,
  );
  const known = ['protocol', 'nop', 'action', ...PASSING_KEYS, ...WORDS.map(([key]) => key)];
  const others = Object.entries(rule).filter(([key]) => !known.includes(key));
  const ends = [
    ...('nop' in rule ? ['nop'] : []),
    ...('action' in rule ? [textOf(rule['action'])] : []),
    ...(others.length === 0 ? [] : [JSON.stringify(Object.fromEntries(others))]),
  ];
  return {
    priority: Number(rule['priority']),
    protocol: textOf(rule['protocol']),
    text: [...words, ...ends].join(' '),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

function unreadable(cause?: unknown): MsiProxyError {
  return new MsiProxyError('MSI_WIRING_COMMAND', 'ip printed something else than a listing of rules', {
    cause,
  });
}
