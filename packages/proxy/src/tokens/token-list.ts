import { formatIdentity, MAX_CONTROL_LINE_BYTES, type TokenSummary } from '@msi-proxy/shared';
import type { TokenEntry } from './token-cache.ts';

/** What is kept, or as much of it as can be told in one line of the control protocol. */
export interface TokenList {
  readonly tokens: readonly TokenSummary[];
  /** How many there are beside these. */
  readonly more: number;
}

// Far from where a line would end the session.
const MAX_BYTES = MAX_CONTROL_LINE_BYTES / 2;

/** Of all tokens together, so that a few that everybody has do not keep the others from being told. */
const MAX_HOLDERS = 16_384;

/** @param entries in the order in which they are to be told */
export function listTokens(entries: readonly TokenEntry[], nowWallMillis: number): TokenList {
  const valid = entries.filter(({ leftSeconds }) => leftSeconds > 0);
  const tokens: TokenSummary[] = [];
  let bytes = 0;
  let holdersLeft = MAX_HOLDERS;
  for (const entry of valid) {
    const containerIds = [...entry.holders].slice(0, holdersLeft);
    const summary = { ...summaryOf(entry, nowWallMillis), containerIds };
    bytes += Buffer.byteLength(JSON.stringify(summary)) + 1;
    if (bytes > MAX_BYTES) break;
    holdersLeft -= containerIds.length;
    tokens.push(summary);
  }
  return { tokens, more: valid.length - tokens.length };
}

function summaryOf(
  { request, ageSeconds, leftSeconds, hits, order }: TokenEntry,
  nowWallMillis: number,
): TokenSummary {
  return {
    ...(request.identity && { identity: formatIdentity(request.identity) }),
    resource: request.resource,
    ageSeconds,
    expiresAt: new Date(nowWallMillis + leftSeconds * 1_000).toISOString(),
    hits,
    id: order,
  };
}
