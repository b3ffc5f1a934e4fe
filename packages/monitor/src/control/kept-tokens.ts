import type { TokenStatus, TokenSummary } from '@msi-proxy/shared';

/** The tokens that a proxy keeps, and who has them. */
export interface KeptTokens {
  /** By resource and identity. */
  readonly tokens: readonly TokenStatus[];
  /** Ids in {@link tokens} by container id. */
  readonly byContainer: ReadonlyMap<string, readonly number[]>;
}

export const NO_TOKENS: KeptTokens = { tokens: [], byContainer: new Map() };

/** Proxies count ages in whole seconds, so that the same moment is told differently each time. */
const SAME_MOMENT_MILLIS = 2_500;

/** Identities are resource ids at their longest, resources are URIs. */
const MAX_TEXT_LENGTH = 500;

/**
 * Reads what a proxy tells. It may be older or newer than this monitor, so only what has the expected form is taken.
 *
 * @param before what was read last from the same proxy
 * @param nowMillis wall clock, when it was told
 */
export function readKeptTokens(
  summaries: readonly TokenSummary[],
  before: KeptTokens,
  nowMillis: number,
): KeptTokens {
  const known = new Map(before.tokens.map(token => [token.id, token]));
  const byContainer = new Map<string, number[]>();
  const tokens = summaries.flatMap((summary, index) => {
    const { id = index, containerIds = [] } = summary;
    const token = readToken(summary, id, nowMillis);
    if (token === undefined) return [];
    for (const containerId of containerIds) {
      const ids = byContainer.get(containerId);
      if (ids === undefined) byContainer.set(containerId, [id]);
      else ids.push(id);
    }
    return withFormerTimes(token, known.get(id));
  });
  for (const ids of byContainer.values()) ids.sort((a, b) => a - b);
  return { tokens: tokens.sort(byResourceAndIdentity), byContainer };
}

function readToken(
  { identity, resource, ageSeconds, expiresAt, hits }: TokenSummary,
  id: number,
  nowMillis: number,
): TokenStatus | undefined {
  if (![ageSeconds, hits, id, Date.parse(expiresAt)].every(Number.isFinite)) return undefined;
  return {
    id,
    ...(identity !== undefined && { identity: identity.slice(0, MAX_TEXT_LENGTH) }),
    resource: resource.slice(0, MAX_TEXT_LENGTH),
    receivedAt: new Date(nowMillis - ageSeconds * 1_000).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
    hits,
  };
}

function withFormerTimes(token: TokenStatus, former: TokenStatus | undefined): TokenStatus {
  if (former === undefined || !isSameMoment(token.expiresAt, former.expiresAt)) return token;
  if (!isSameMoment(token.receivedAt, former.receivedAt)) return token;
  return { ...token, receivedAt: former.receivedAt, expiresAt: former.expiresAt };
}

function isSameMoment(a: string, b: string): boolean {
  return Math.abs(Date.parse(a) - Date.parse(b)) < SAME_MOMENT_MILLIS;
}

function byResourceAndIdentity(a: TokenStatus, b: TokenStatus): number {
  return (
    a.resource.localeCompare(b.resource) || (a.identity ?? '').localeCompare(b.identity ?? '') || a.id - b.id
  );
}
