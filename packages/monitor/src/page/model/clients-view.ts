import type { ClientState, ClientStatus, MonitorStatus, PolicySummary, TokenStatus } from '@msi-proxy/shared';
import { ageOf } from '../../terminal/duration.ts';
import { CLIENT_TONES, type Tone } from './tone.ts';
import { tokenView, type TokenView } from './tokens-view.ts';
import { numberText, reasonText, shortId, shortIdentity, shortResource, tookText } from './words.ts';

/** A client in words. */
export interface ClientRow {
  readonly containerId: string;
  readonly shortId: string;
  readonly name: string;
  readonly image: string;
  readonly addresses: readonly string[];
  readonly startedAt: string;
  readonly state: ClientState;
  readonly tone: Tone;
  readonly since: string;
  readonly age: string;
  /** Why it is not wired. */
  readonly reason: string | undefined;
  readonly method: string | undefined;
  /** How long its wiring took. */
  readonly took: string | undefined;
  readonly identity: string;
  /** Identities, resources and endpoints, each as the labels say it. */
  readonly policy: PolicySummary | undefined;
  readonly resources: string;
  readonly endpoints: string;
  readonly requests: string;
  readonly refusals: number;
  readonly lastRefusal: { readonly reason: string; readonly at: string; readonly age: string } | undefined;
  readonly tokens: readonly TokenView[];
}

export interface ClientFilter {
  /** What name, image, id, address, state or reason contain. */
  readonly text: string;
  readonly state: ClientState | 'all';
}

export interface ClientsView {
  /** Those that need somebody first. */
  readonly rows: readonly ClientRow[];
  /** That match, beyond {@link rows}. */
  readonly more: number;
  readonly matching: number;
  readonly counts: Readonly<Record<ClientState | 'all', number>>;
}

export const CLIENT_STATES = [
  'failed',
  'refused',
  'pending',
  'wired',
] as const satisfies readonly ClientState[];

/** A refusal is news for so long. */
const RECENT_MILLIS = 10 * 60_000;

/** @param limit how many rows are shown at most */
export function clientsView(
  { clients, tokens = [] }: Pick<MonitorStatus, 'clients' | 'tokens'>,
  filter: ClientFilter,
  { limit, nowMillis }: { readonly limit: number; readonly nowMillis: number },
): ClientsView {
  const matching = clients.filter(client => matches(client, filter));
  const shown = inOrder(matching, nowMillis).slice(0, limit);
  const tokensById = new Map(tokens.map(token => [token.id, token]));
  return {
    rows: shown.map(client => clientRow(client, tokensById, nowMillis)),
    more: matching.length - shown.length,
    matching: matching.length,
    counts: countStates(clients),
  };
}

export function countStates(clients: readonly ClientStatus[]): ClientsView['counts'] {
  const counts = { all: clients.length, failed: 0, refused: 0, pending: 0, wired: 0 };
  for (const { state } of clients) counts[state] += 1;
  return counts;
}

function matches(client: ClientStatus, { text, state }: ClientFilter): boolean {
  if (state !== 'all' && client.state !== state) return false;
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return true;
  const { name, image, containerId, addresses, reason = '', method = '' } = client;
  return [name, image, containerId, client.state, reason, method, ...addresses].some(part =>
    part.toLowerCase().includes(wanted),
  );
}

const NAMES = new Intl.Collator('en', { numeric: true });

/** By how much they need somebody, then by name. */
function inOrder(clients: readonly ClientStatus[], nowMillis: number): ClientStatus[] {
  return clients
    .map(client => ({ client, rank: rankOf(client, nowMillis) }))
    .sort((a, b) => a.rank - b.rank || NAMES.compare(a.client.name, b.client.name))
    .map(({ client }) => client);
}

function rankOf({ state, traffic }: ClientStatus, nowMillis: number): number {
  const rank = CLIENT_STATES.indexOf(state);
  const lastRefusal = traffic?.lastRefusal;
  const isQuiet = lastRefusal === undefined || nowMillis - Date.parse(lastRefusal.at) > RECENT_MILLIS;
  return state === 'wired' && isQuiet ? rank + 1 : rank;
}

function clientRow(
  client: ClientStatus,
  tokensById: ReadonlyMap<number, TokenStatus>,
  nowMillis: number,
): ClientRow {
  const { containerId, name, image, addresses, startedAt, state, since, reason, method, policy } = client;
  const { traffic, wiredAfterMillis, tokens = [] } = client;
  const lastRefusal = traffic?.lastRefusal;
  return {
    containerId,
    shortId: shortId(containerId),
    name,
    image,
    addresses,
    startedAt,
    state,
    tone: CLIENT_TONES[state],
    since,
    age: ageOf(since, nowMillis),
    reason,
    method,
    took: wiredAfterMillis === undefined ? undefined : tookText(wiredAfterMillis),
    identity: identityText(policy),
    policy,
    resources: resourcesText(policy),
    endpoints: policy === undefined ? '' : policy.endpoints.join(', '),
    requests: traffic === undefined ? '0' : numberText(traffic.requests),
    refusals: traffic?.refusals ?? 0,
    lastRefusal: lastRefusal && {
      reason: reasonText(lastRefusal.reason),
      at: lastRefusal.at,
      age: ageOf(lastRefusal.at, nowMillis),
    },
    tokens: tokens.flatMap(id => {
      const token = tokensById.get(id);
      return token === undefined ? [] : tokenView(token, nowMillis);
    }),
  };
}

function identityText(policy: PolicySummary | undefined): string {
  if (policy === undefined) return '';
  const { identity, identities } = policy;
  const further = identities.filter(each => each !== identity);
  if (identity === undefined && further.includes('*')) return 'any of the VM’s';
  const [first, ...others] = identity === undefined ? further : [identity, ...further];
  if (first === undefined) return 'none';
  if (others.includes('*')) return `${shortIdentity(first)}, or any`;
  return others.length === 0 ? shortIdentity(first) : `${shortIdentity(first)} + ${others.length}`;
}

function resourcesText(policy: PolicySummary | undefined): string {
  if (policy === undefined) return '';
  return policy.resources.includes('*') ? 'any resource' : policy.resources.map(shortResource).join(', ');
}
