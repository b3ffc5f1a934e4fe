import {
  CLIENT_LABEL,
  formatLabelProblem,
  hasClientLabel,
  hasProxyLabel,
  intersectPolicies,
  parseClientPolicy,
  printable,
  PROXY_LABEL,
  type Caller,
  type ClientPolicy,
  type Grant,
} from '@msi-proxy/shared';
import type { ContainerDetails, NetworkDetails } from '../docker/index.ts';
import { UNKNOWN_DRIVER } from '../wiring/select.ts';
import type { ClientNetwork, WirableClient } from '../wiring/wiring-method.ts';

/** What was read from the engine. */
export interface EngineSnapshot {
  /** Containers that run, also paused ones. */
  readonly containers: readonly ContainerDetails[];
  readonly networks: readonly NetworkDetails[];
  /** Addresses on `docker_gwbridge` by container id: overlay tasks leave by it, and their own inspect does not list it. */
  readonly gatewayAddresses: ReadonlyMap<string, string>;
  /** Isolation of Windows containers that name none; empty where there are no Windows containers. */
  readonly defaultIsolation: string;
  /** Containers that the engine lists, but does not tell about: of what they run in, only the list's word is known. */
  readonly listedOnly?: ReadonlySet<string>;
}

export interface DesiredStateOptions {
  /** What an unlabelled container does that shares the network namespace of a labelled one. */
  readonly unlabelledSharers: 'refuse' | 'ignore';
  /** `auto`: as the engine tells for each container. */
  readonly containerOs: 'auto' | 'windows' | 'linux';
}

/** A labelled container, and what should become of it. */
export interface DesiredClient {
  readonly container: ContainerDetails;
  readonly addresses: readonly string[];
  readonly plan:
    | { readonly kind: 'wire'; readonly policy: ClientPolicy; readonly namespace: WirableClient }
    | { readonly kind: 'refuse'; readonly reason: string };
}

export interface DesiredState {
  readonly proxies: readonly ContainerDetails[];
  readonly clients: readonly DesiredClient[];
  /** By address; every address of every container is in it, since the proxy refuses what it does not know only after a wait. */
  readonly callers: ReadonlyMap<string, Caller>;
  /** Those that run in the network of another container, and nobody who runs is known to be that. They have no address here. */
  readonly strays: readonly ContainerDetails[];
}

/** Containers that share one network namespace, and so its addresses. */
interface NamespaceGroup {
  readonly owner: ContainerDetails;
  readonly members: readonly ContainerDetails[];
}

// Docker lets a container join the namespace of one that has joined another's; a loop cannot be made, but is not trusted.
const MAX_JOINS = 16;

/** A shorter one may be somebody's name. */
const ID_PREFIX = /^[0-9a-f]{12,}$/;

/** What should be, from what is. Reads nothing and changes nothing. */
export function desiredState(snapshot: EngineSnapshot, options: DesiredStateOptions): DesiredState {
  const byId = new Map(snapshot.containers.map(container => [container.id, container]));
  const networks = new Map(snapshot.networks.map(network => [network.id, network]));
  const proxies = snapshot.containers.filter(({ labels }) => hasProxyLabel(labels));
  const { groups, orphans } = groupByNamespace(byId);

  const clients: DesiredClient[] = orphans.filter(isClient).map(container => ({
    container,
    addresses: [],
    plan: { kind: 'refuse', reason: 'the container whose network it shares does not run' },
  }));
  const callers = new Map<string, Caller>();
  for (const group of groups) {
    const addresses = addressesOf(group.owner, snapshot.gatewayAddresses);
    const grant = grantOf(group, addresses, snapshot, options);
    if (grant !== 'not-a-caller') claimAddresses(callers, group.owner, addresses, grant);
    for (const container of group.members.filter(isClient)) {
      const plan = planOf(group.owner, grant, client => wirableClient(client, networks, snapshot, options));
      clients.push({ container, addresses, plan });
    }
  }
  refuseContestedNamespaces(callers, clients);
  return { proxies, callers, clients: clients.map(client => withClaims(client, callers)), strays: orphans };
}

/** Whether the container joined the namespace of another one, and whose. */
export function joinedContainer(networkMode: string): string | undefined {
  return networkMode.startsWith('container:') ? networkMode.slice('container:'.length) : undefined;
}

/** The other containers that share the network namespace, and so the addresses, of this one. */
export function sharersOf(
  containerId: string,
  containers: readonly ContainerDetails[],
): readonly ContainerDetails[] {
  const members = groupOf(containerId, containers)?.members ?? [];
  return members.filter(({ id }) => id !== containerId);
}

/**
 * Where the container is, or would be, wired.
 *
 * @returns undefined for that of a proxy, which is never wired, and for one that nobody who runs is known to have
 */
export function namespaceOf(
  containerId: string,
  snapshot: EngineSnapshot,
  options: DesiredStateOptions,
): WirableClient | undefined {
  const group = groupOf(containerId, snapshot.containers);
  if (group === undefined || group.members.some(({ labels }) => hasProxyLabel(labels))) return undefined;
  const networks = new Map(snapshot.networks.map(network => [network.id, network]));
  return wirableClient(group.owner, networks, snapshot, options);
}

function groupOf(containerId: string, containers: readonly ContainerDetails[]): NamespaceGroup | undefined {
  const { groups } = groupByNamespace(new Map(containers.map(container => [container.id, container])));
  return groups.find(({ members }) => members.some(({ id }) => id === containerId));
}

function isClient({ labels }: ContainerDetails): boolean {
  return hasClientLabel(labels);
}

function groupByNamespace(byId: ReadonlyMap<string, ContainerDetails>) {
  const members = new Map<string, ContainerDetails[]>();
  const orphans: ContainerDetails[] = [];
  for (const container of byId.values()) {
    const owner = namespaceOwner(container, byId);
    if (owner === undefined) orphans.push(container);
    else members.set(owner.id, [...(members.get(owner.id) ?? []), container]);
  }
  const groups: NamespaceGroup[] = [...members].map(([id, group]) => ({
    owner: byId.get(id)!,
    members: group,
  }));
  return { groups, orphans };
}

function namespaceOwner(
  container: ContainerDetails,
  byId: ReadonlyMap<string, ContainerDetails>,
): ContainerDetails | undefined {
  let owner: ContainerDetails | undefined = container;
  for (let joins = 0; joins < MAX_JOINS && owner !== undefined; joins += 1) {
    if (joinedContainer(owner.networkMode) === undefined) return owner;
    owner = joinedOne(owner, byId);
  }
  return undefined;
}

/**
 * Whose network the container has joined, found as the engine does when it starts it. The engine puts the id in place of a
 * name only if there is such a container when this one is created, and on Windows never.
 */
function joinedOne(
  { networkMode, startedInNetworkOf }: ContainerDetails,
  byId: ReadonlyMap<string, ContainerDetails>,
): ContainerDetails | undefined {
  const joined = joinedContainer(networkMode)!;
  const named = byId.get(joined);
  if (named !== undefined) return named;
  // A name may have gone to another container since.
  if (startedInNetworkOf !== undefined) return byId.get(startedInNetworkOf);
  const all = [...byId.values()];
  const name = joined.replace(/^\//, '');
  const sameName = all.find(container => container.name === name);
  if (sameName !== undefined || !ID_PREFIX.test(joined)) return sameName;
  const [match, ...others] = all.filter(({ id }) => id.startsWith(joined));
  return others.length === 0 ? match : undefined;
}

function addressesOf(owner: ContainerDetails, gatewayAddresses: ReadonlyMap<string, string>): string[] {
  const own = owner.networks.map(({ address }) => address);
  return [...new Set([...own, gatewayAddresses.get(owner.id) ?? ''])].filter(address => address !== '');
}

/** What the namespace's addresses are granted; nothing at all is said of those of proxies and of the VM itself. */
function grantOf(
  { owner, members }: NamespaceGroup,
  addresses: readonly string[],
  { listedOnly }: EngineSnapshot,
  { unlabelledSharers }: DesiredStateOptions,
): Grant | 'not-a-caller' {
  const clients = members.filter(isClient);
  const refused = (reason: string): Grant => ({ kind: 'refused', reason });
  if (owner.networkMode === 'host') {
    return clients.length === 0
      ? 'not-a-caller'
      : refused("it uses the VM's own network, which reaches the metadata service directly");
  }
  const proxy = members.find(({ labels }) => hasProxyLabel(labels));
  if (proxy !== undefined) {
    if (clients.length === 0) return 'not-a-caller';
    return refused(
      clients.includes(proxy)
        ? `it has both labels, ${PROXY_LABEL} and ${CLIENT_LABEL}`
        : `it shares the network of the proxy "${printable(proxy.name)}"`,
    );
  }
  if (clients.length === 0) return { kind: 'unlabelled' };
  const unread = members.find(({ id }) => listedOnly?.has(id));
  if (unread !== undefined)
    return refused(`the engine does not tell about the container "${printable(unread.name)}"`);
  const stranger = members.find(member => !isClient(member));
  if (stranger !== undefined && unlabelledSharers === 'refuse') {
    return refused(
      `the container "${printable(stranger.name)}" shares its network and has no label ${CLIENT_LABEL} (see MSI_MONITOR_UNLABELLED_SHARERS)`,
    );
  }
  if (addresses.length === 0) return refused('it is on no network that has addresses');
  return policyGrant(clients);
}

function policyGrant(clients: readonly ContainerDetails[]): Grant {
  let common: ClientPolicy | undefined;
  for (const { name, labels } of clients) {
    const result = parseClientPolicy(labels);
    if (!result.ok) {
      const whose = clients.length > 1 ? `container "${printable(name)}": ` : '';
      return { kind: 'refused', reason: whose + result.problems.map(formatLabelProblem).join('; ') };
    }
    common = common === undefined ? result.policy : intersectPolicies(common, result.policy);
  }
  return common === undefined ? { kind: 'unlabelled' } : { kind: 'client', policy: common };
}

/** Two namespaces with one address cannot be told apart by it, so neither gets anything. */
function claimAddresses(
  callers: Map<string, Caller>,
  { id, name, startedAt }: ContainerDetails,
  addresses: readonly string[],
  grant: Grant,
): void {
  for (const address of addresses) {
    const other = callers.get(address);
    const contested: Grant = { kind: 'refused', reason: `another container has the same address ${address}` };
    if (other !== undefined) callers.set(address, { ...other, grant: contested });
    else callers.set(address, { address, containerId: id, name: printable(name), startedAt, grant });
  }
}

/** A client is served at all of its addresses or at none: which one it asks from is not its choice. */
function refuseContestedNamespaces(callers: Map<string, Caller>, clients: readonly DesiredClient[]): void {
  for (const { addresses, plan } of clients) {
    const grants = addresses.map(address => callers.get(address)?.grant);
    const contested = grants.find(grant => grant?.kind === 'refused');
    if (plan.kind === 'refuse' || contested === undefined) continue;
    for (const address of addresses) {
      const caller = callers.get(address);
      if (caller !== undefined) callers.set(address, { ...caller, grant: contested });
    }
  }
}

function planOf(
  owner: ContainerDetails,
  grant: Grant | 'not-a-caller',
  toWirable: (owner: ContainerDetails) => WirableClient,
): DesiredClient['plan'] {
  if (grant === 'not-a-caller' || grant.kind === 'unlabelled')
    return { kind: 'refuse', reason: 'it has no label' };
  if (grant.kind === 'refused') return { kind: 'refuse', reason: grant.reason };
  return { kind: 'wire', policy: grant.policy, namespace: toWirable(owner) };
}

function wirableClient(
  owner: ContainerDetails,
  networks: ReadonlyMap<string, NetworkDetails>,
  { defaultIsolation }: EngineSnapshot,
  { containerOs }: DesiredStateOptions,
): WirableClient {
  const namesIsolation = owner.isolation !== '' && owner.isolation !== 'default';
  return {
    containerId: owner.id,
    name: owner.name,
    startedAt: owner.startedAt,
    pid: owner.pid,
    sandboxKey: owner.sandboxKey,
    platform: containerOs === 'auto' ? owner.platform : containerOs,
    isolation: namesIsolation ? owner.isolation : defaultIsolation,
    paused: owner.state === 'paused',
    networks: owner.networks.map(({ name, networkId, address }): ClientNetwork => {
      const network = networks.get(networkId);
      return {
        name,
        address,
        driver: network?.driver ?? UNKNOWN_DRIVER,
        internal: network?.internal ?? false,
      };
    }),
  };
}

function withClaims(client: DesiredClient, callers: ReadonlyMap<string, Caller>): DesiredClient {
  if (client.plan.kind === 'refuse') return client;
  for (const address of client.addresses) {
    const grant = callers.get(address)?.grant;
    if (grant?.kind === 'refused') return { ...client, plan: { kind: 'refuse', reason: grant.reason } };
  }
  return client;
}
