import { IMDS_ADDRESS, IMDS_PORT, WIRESERVER_ADDRESS, WIRESERVER_TCP_PORTS } from '@msi-proxy/shared';
import type {
  ChainDefinition,
  MapElements,
  RuleDefinition,
  SetDefinition,
  TableDefinition,
} from '../nft/table-definition.ts';
import { checkedAddress, checkedEndpoint, type ProxyEndpoint } from '../wiring/proxy-endpoint.ts';
import { checkedInterface } from './checked-interface.ts';
import { VOUCHED_MARK, wantsBarrier } from './routing-barrier.ts';
import type { LentSource, VmRulesWanted } from './vm-rules.ts';

export const VM_TABLE = 'msi_proxy';
export const TARGET_MAP = 'target';
export const LENT_MAP = 'lent';
export const STOPPED_SET = 'stopped';
export const GUARD_CHAIN = 'guard';
const BYSTANDERS_SET = 'bystanders';

/** Comment of the rule that lets proxies reach IMDS. */
export const PROXIES_RULE = 'proxies at IMDS';

/** Comment of the rules that keep answers of proxies out of Docker's sight. */
export const ANSWERS_RULE = 'answers of proxies';

const REST_AT_IMDS_RULE = 'anything else at IMDS';
const TCP_AT_IMDS_RULE = 'other TCP at IMDS';
const WIRESERVER_RULE = 'WireServer';

/** Comments of the rules of {@link GUARD_CHAIN} that shut the direct way, whatever else is in it. */
export const GUARD_RULES = [TCP_AT_IMDS_RULE, REST_AT_IMDS_RULE, WIRESERVER_RULE] as const;

/** Comment of the rule that lets redirected requests reach the stand-in. */
export const STAND_IN_RULE = 'redirected requests at the stand-in';

/** Requests that were sent to the proxy: known by where they first went. */
const REDIRECTED = `ct status dnat ct original ip daddr ${IMDS_ADDRESS}`;

const TO_IMDS = `ip daddr ${IMDS_ADDRESS}`;

/** DNS and DHCP live at the same address and stay open. */
const TO_WIRESERVER = `ip daddr ${WIRESERVER_ADDRESS} tcp dport { ${WIRESERVER_TCP_PORTS.join(', ')} }`;

const AZURE_ADDRESSES = `{ ${WIRESERVER_ADDRESS}, ${IMDS_ADDRESS} }`;

/**
 * At once, since SDKs burn seconds on silence. A reset is for packets that no rule has translated: of one that went
 * through `dnat` it is lost when bridged frames pass these rules (`bridge-nf-call-iptables`, which Docker sets).
 */
const TCP_REFUSAL = 'reject with tcp reset';
const REFUSAL = 'reject with icmp port-unreachable';

/**
 * The table that a VM should have.
 *
 * @returns undefined when it should have none
 * @throws {MsiProxyError} `MSI_SETTINGS_INVALID` for a bridge name that no rule can hold
 */
export function vmTable(wanted: VmRulesWanted): TableDefinition | undefined {
  const { guard, redirect, proxyBridge, proxyAddresses, bystanders, linkBridge } = wanted;
  const bridge = proxyBridge === undefined ? undefined : quoteInterface(proxyBridge);
  const redirecting = redirect && bridge !== undefined;
  const standIn = wanted.standIn === undefined ? undefined : checkedEndpoint(wanted.standIn);
  const chains = [
    ...(redirecting
      ? [
          ...redirectChains(bridge, { standIn, bystanders }),
          ...answerChains(`iifname ${bridge}`, proxyAddresses),
        ]
      : []),
    ...(bridge !== undefined && standIn !== undefined
      ? [
          toStandInChain(standIn, { bridge, proxyAddresses }),
          ...(redirecting ? [fromStandInChain(standIn)] : []),
        ]
      : []),
    ...(guard === 'off' ? [] : [guardChain(guard, { bridge, proxyAddresses, linkBridge })]),
    ...(wantsBarrier(wanted) ? [vouchChain({ bridge, proxyAddresses })] : []),
  ];
  if (chains.length === 0) return undefined;
  return {
    name: VM_TABLE,
    maps: redirecting
      ? [
          {
            name: TARGET_MAP,
            type: 'inet_service : ipv4_addr . inet_service',
            comment: 'The serving proxy, or the stand-in. Empty: requests wait, see chain guard',
          },
          ...(standIn === undefined ? [] : [LENT_SOURCES]),
        ]
      : [],
    sets: [
      ...(redirecting && bystanders !== undefined ? [BYSTANDERS] : []),
      ...(guard === 'off' ? [] : [STOPPED]),
    ],
    chains,
  };
}

/** What the maps of {@link vmTable} should hold. */
export function vmElements(wanted: VmRulesWanted): MapElements {
  const { redirect, proxyBridge, target, standIn, bystanders } = wanted;
  if (!redirect || proxyBridge === undefined) return {};
  return {
    [TARGET_MAP]: targetElements(target ?? standIn),
    ...(standIn !== undefined && { [LENT_MAP]: [] }),
    ...(bystanders !== undefined && { [BYSTANDERS_SET]: [...new Set(bystanders.map(checkedAddress))] }),
  };
}

/** @throws {MsiProxyError} `MSI_INTERNAL` for a target that is none */
export function targetElements(target: VmRulesWanted['target']): string[] {
  if (target === undefined) return [];
  const { address, port } = checkedEndpoint(target);
  return [`${IMDS_PORT} : ${address} . ${port}`];
}

/** @throws {MsiProxyError} `MSI_INTERNAL` for an address or port that is none */
export function lentElements(sources: readonly LentSource[]): string[] {
  return sources.map(source => {
    const { address, port } = checkedEndpoint(source);
    return `${port} : ${address}`;
  });
}

/** Reads an element of the target map; undefined for what another program put there. */
export function parseTargetElement(element: string): VmRulesWanted['target'] {
  const [, address, port] = /^\d+ : (\d+\.\d+\.\d+\.\d+) \. (\d+)$/.exec(element) ?? [];
  return address === undefined ? undefined : { address, port: Number(port) };
}

const LENT_SOURCES = {
  name: LENT_MAP,
  type: 'inet_service : ipv4_addr',
  comment: 'Requests that the stand-in is passing on: its local port, and who asked',
};

const BYSTANDERS: SetDefinition = {
  name: BYSTANDERS_SET,
  properties: 'type ipv4_addr',
  comment: 'Containers without the label, which audit does not stop',
};

const STOPPED: SetDefinition = {
  name: STOPPED_SET,
  // Forged source addresses can fill it: what is full counts no more addresses, and goes quiet again by itself.
  properties: 'type ipv4_addr; size 4096; flags dynamic,timeout; timeout 1h',
  comment: 'Who tried to go where no container may',
};

interface RedirectOptions {
  readonly standIn: ProxyEndpoint | undefined;
  readonly bystanders: readonly string[] | undefined;
}

function redirectChains(bridge: string, { standIn, bystanders }: RedirectOptions): ChainDefinition[] {
  const notBystanders = bystanders === undefined ? '' : `ip saddr != @${BYSTANDERS_SET} `;
  return [
    {
      name: 'to_proxy',
      // Before Docker's own destination NAT. An empty map does not match.
      hook: 'type nat hook prerouting priority dstnat - 1',
      comment: 'Sends requests of containers to the proxy; the proxy itself reaches IMDS',
      rules: [
        {
          // The proxy would answer a forged source, which is IMDS.
          match: `iifname != ${bridge} ip saddr != ${AZURE_ADDRESSES} ${notBystanders}ip daddr ${IMDS_ADDRESS}`,
          verdict: `dnat ip addr . port to tcp dport map @${TARGET_MAP}`,
          comment: 'to the proxy',
        },
      ],
    },
    {
      name: 'keep_source',
      hook: 'type nat hook postrouting priority srcnat - 1',
      comment: "Keeps Docker's masquerade from hiding who asks: the proxy knows callers by address",
      rules: [
        { match: REDIRECTED, verdict: 'snat to ip saddr', comment: 'own address' },
        ...(standIn === undefined
          ? []
          : [
              {
                // Packets that are forwarded or bridged have no socket, so nobody else can borrow an address.
                match: `ip saddr ${standIn.address} oifname ${bridge} meta skuid >= 0`,
                verdict: `snat to tcp sport map @${LENT_MAP}`,
                comment: 'address of the container that the stand-in asks for',
              },
            ]),
      ],
    },
  ];
}

/**
 * Since 28.2 Docker drops what reaches a container by another bridge than its own, in a rule for each container that comes
 * before addresses are translated back: all answers of proxies. An `accept` of ours would end our own table only, so the
 * container's address is another one while Docker looks, and the same again afterwards.
 */
function answerChains(
  fromBridge: string,
  proxyAddresses: VmRulesWanted['proxyAddresses'],
): ChainDefinition[] {
  const source = sourceMatch(proxyAddresses);
  if (source === undefined) return [];
  const flip: RuleDefinition = {
    // By whichever bridge: a proxy whose routes are the operator's may answer by another one. Answers only: for what a proxy
    // begins, Docker's rules hold.
    match: `${source === '' ? `${fromBridge} ` : source}tcp flags & (fin | syn | rst | ack) != syn`,
    verdict: 'ip daddr set ip daddr ^ 128.0.0.0',
    comment: ANSWERS_RULE,
  };
  return [
    {
      name: 'before_docker_raw',
      hook: 'type filter hook prerouting priority raw - 10',
      comment: 'Takes answers out of the sight of rules that Docker has for the addresses of containers',
      rules: [flip],
    },
    {
      name: 'after_docker_raw',
      hook: 'type filter hook prerouting priority raw + 10',
      comment: 'Gives answers their destination back, before connections are looked up',
      rules: [flip],
    },
  ];
}

/** The stand-in listens on an address that every container can send to. Only what came for IMDS may reach it, and proxies. */
function toStandInChain(
  { address, port }: ProxyEndpoint,
  {
    bridge,
    proxyAddresses = [],
  }: { readonly bridge: string; readonly proxyAddresses: VmRulesWanted['proxyAddresses'] },
): ChainDefinition {
  const atStandIn = `ip daddr ${address} tcp dport ${port}`;
  const proxies = sortedAddresses(proxyAddresses);
  return {
    name: 'to_stand_in',
    hook: 'type filter hook input priority filter - 1',
    comment: 'Keeps everything but redirected requests and questions of proxies from the stand-in',
    rules: [
      {
        match: `${atStandIn} ct original ip daddr ${IMDS_ADDRESS}`,
        verdict: 'accept',
        comment: STAND_IN_RULE,
      },
      ...(proxies.length === 0
        ? []
        : [
            {
              match: `iifname ${bridge} ip saddr { ${proxies.join(', ')} } ${atStandIn}`,
              verdict: 'accept',
              comment: 'proxies that ask past the engine',
            },
          ]),
      { match: atStandIn, verdict: TCP_REFUSAL, comment: 'anything else at the stand-in' },
    ],
  };
}

/** Where nothing listens any more, a SYN is met by silence, as when there is no stand-in: it is sent again. */
function fromStandInChain({ address, port }: ProxyEndpoint): ChainDefinition {
  return {
    name: 'from_stand_in',
    hook: 'type filter hook output priority filter - 1',
    comment: 'Where no monitor runs, clients are not refused: their SYNs are sent again',
    rules: [
      {
        // The kernel's answer to a SYN that nobody listens for (RFC 9293, 3.10.7.1): sequence number 0 and ACK.
        match:
          `ip saddr ${address} tcp sport ${port} ct original ip daddr ${IMDS_ADDRESS} ` +
          'tcp flags & (rst | ack) == (rst | ack) tcp sequence 0',
        verdict: 'drop',
        comment: 'no monitor: wait',
      },
    ],
  };
}

interface GuardOptions {
  readonly bridge: string | undefined;
  readonly proxyAddresses: readonly string[] | undefined;
  readonly linkBridge: string | undefined;
}

function guardChain(
  mode: 'enforce' | 'audit',
  { bridge, proxyAddresses, linkBridge }: GuardOptions,
): ChainDefinition {
  const refuse = (match: string, verdict: string, comment: string): RuleDefinition => ({
    match,
    verdict: mode === 'enforce' ? `counter ${verdict}` : AUDIT_VERDICT,
    comment,
  });
  return {
    name: GUARD_CHAIN,
    hook: 'type filter hook forward priority filter - 1',
    comment:
      "Closes the direct way to IMDS and WireServer for containers. The VM's own traffic is not forwarded",
    rules: [
      // Linux puts the next address of a source route into the packet after this hook, so where it goes is not seen here.
      // Such packets are refused everywhere (RFC 7126, 4.3 and 4.4), and Linux forwards them only when told to.
      refuse('ip option lsrr exists', 'drop', 'loose source route'),
      refuse('ip option ssrr exists', 'drop', 'strict source route'),
      ...(bridge === undefined ? [] : proxyPassRules(`iifname ${bridge}`, TO_IMDS, proxyAddresses)),
      ...(linkBridge === undefined ? [] : [linkRule(linkBridge)]),
      // A refusal would go where the container wants one sent: to IMDS itself.
      refuse(`ip saddr ${AZURE_ADDRESSES} ip daddr ${AZURE_ADDRESSES}`, 'drop', 'forged source'),
      // Rules of their own: a set that is full ends its rule, and must not take a verdict with it.
      countSource(TO_IMDS, 'who at IMDS'),
      countSource(TO_WIRESERVER, 'who at WireServer'),
      ...(linkBridge === undefined
        ? [
            refuse(
              // Dropped, not refused: a SYN is sent again after a second, and a proxy may serve it by then.
              `${TO_IMDS} tcp dport ${IMDS_PORT} tcp flags & (fin | syn | rst | ack) == syn`,
              'drop',
              'no proxy: wait',
            ),
          ]
        : // With attach it would be sent again from the address of another network, and dropped for good. A new
          // connection goes the right way.
          []),
      // Not by ICMP, of which Linux sends a container about one a second. Also ends connections from before these rules.
      refuse(`${TO_IMDS} meta l4proto tcp`, TCP_REFUSAL, TCP_AT_IMDS_RULE),
      refuse(TO_IMDS, REFUSAL, REST_AT_IMDS_RULE),
      refuse(TO_WIRESERVER, TCP_REFUSAL, WIRESERVER_RULE),
      ...(bridge === undefined ? [] : proxyAddressRules(bridge, refuse)),
    ],
  };
}

/**
 * Marks what the guard is going to refuse, before it is routed: the barrier in the routing stops it otherwise, in silence
 * and uncounted. Proxies have a way of their own there, and need no mark.
 */
function vouchChain({
  bridge,
  proxyAddresses,
}: Pick<GuardOptions, 'bridge' | 'proxyAddresses'>): ChainDefinition {
  const mark = (match: string, comment: string): RuleDefinition => ({
    match,
    verdict: `meta mark set 0x${VOUCHED_MARK.toString(16)}`,
    comment,
  });
  return {
    name: 'vouch',
    hook: 'type filter hook prerouting priority filter - 1',
    comment: 'Says to the rules of the routing (ip rule) that chain guard is there to refuse',
    rules: [
      ...(bridge === undefined ? [] : proxyPassRules(`iifname ${bridge}`, TO_IMDS, proxyAddresses)),
      mark(TO_IMDS, 'for IMDS'),
      mark(TO_WIRESERVER, 'for WireServer'),
    ],
  };
}

function linkRule(bridge: string): RuleDefinition {
  const name = quoteInterface({ interfaceName: bridge });
  return {
    match: `iifname ${name} oifname ${name}`,
    verdict: 'accept',
    comment: 'clients and proxy on one bridge',
  };
}

function countSource(match: string, comment: string): RuleDefinition {
  const verdict = `ct state new update @${STOPPED_SET} { ip saddr counter }`;
  return { match, verdict, comment };
}

/** Others on the proxies' network (they can be put there) have no more right to IMDS than others elsewhere. */
function proxyPassRules(
  fromBridge: string,
  toImds: string,
  addresses: readonly string[] | undefined,
): RuleDefinition[] {
  const source = sourceMatch(addresses);
  if (source === undefined) return [];
  return [{ match: `${fromBridge} ${source}${toImds}`, verdict: 'accept', comment: PROXIES_RULE }];
}

/** Of these senders, or of any where they are not known; undefined where there is none. */
function sourceMatch(addresses: readonly string[] | undefined): string | undefined {
  if (addresses === undefined) return '';
  return addresses.length === 0 ? undefined : `ip saddr { ${sortedAddresses(addresses).join(', ')} } `;
}

/** In one order, so that the same proxies make the same table. */
function sortedAddresses(addresses: readonly string[]): string[] {
  return [...new Set(addresses.map(checkedAddress))].sort();
}

/** The proxy's own address is for the redirect only; ports that its operator publishes are the operator's decision. */
function proxyAddressRules(
  bridge: string,
  refuse: (match: string, verdict: string, comment: string) => RuleDefinition,
): RuleDefinition[] {
  const fromElsewhere = `iifname != ${bridge} oifname ${bridge} ct state new`;
  return [
    {
      match: `oifname ${bridge} ct status dnat`,
      verdict: 'accept',
      comment: 'redirected requests, published ports',
    },
    countSource(fromElsewhere, "who at the proxy's own address"),
    refuse(`${fromElsewhere} meta l4proto tcp`, TCP_REFUSAL, "TCP to the proxy's own address"),
    refuse(fromElsewhere, REFUSAL, "anything else to the proxy's own address"),
  ];
}

/** The kernel's log is small and shared: enough lines to see who, and the counter for how many. */
const AUDIT_VERDICT = 'counter limit rate 10/minute log prefix "msi-proxy guard: "';

/** In nft a name that ends in `*` stands for many. */
function quoteInterface({ interfaceName }: NonNullable<VmRulesWanted['proxyBridge']>): string {
  return `"${checkedInterface(interfaceName)}"`;
}
