import type { MonitorStatus, TokenStatus } from '@msi-proxy/shared';
import { spanText } from '../../terminal/duration.ts';
import type { Tone } from './tone.ts';
import { counted, shortIdentity, shortResource } from './words.ts';

/** A token as a bar that becomes shorter. */
export interface TokenView {
  readonly id: number;
  readonly resource: string;
  readonly shortResource: string;
  /** Absent for whichever identity IMDS picked. */
  readonly identity: string | undefined;
  readonly shortIdentity: string;
  readonly expiresAt: string;
  /** Of its life, from 0 to 1. */
  readonly left: number;
  readonly leftText: string;
  readonly tone: Tone;
}

export interface TokenRow extends TokenView {
  readonly hits: number;
  readonly holders: string;
}

// The proxy renews what is used well before.
const SOON_MILLIS = 5 * 60_000;

export function tokenView(token: TokenStatus, nowMillis: number): TokenView {
  const { id, resource, identity, receivedAt, expiresAt } = token;
  const leftMillis = Math.max(0, Date.parse(expiresAt) - nowMillis);
  const lifeMillis = Math.max(1, Date.parse(expiresAt) - Date.parse(receivedAt));
  return {
    id,
    resource,
    shortResource: shortResource(resource),
    identity,
    shortIdentity: identity === undefined ? 'chosen by IMDS' : shortIdentity(identity),
    expiresAt,
    left: Math.min(1, leftMillis / lifeMillis),
    leftText: leftMillis === 0 ? 'expired' : `${spanText(leftMillis)} left`,
    tone: leftMillis === 0 ? 'bad' : leftMillis < SOON_MILLIS ? 'wait' : 'ok',
  };
}

/** All that the serving proxy keeps; `undefined` while none tells. */
export function tokenRows({ tokens, clients }: MonitorStatus, nowMillis: number): TokenRow[] | undefined {
  const holders = new Map<number, number>();
  for (const id of clients.flatMap(client => client.tokens ?? []))
    holders.set(id, (holders.get(id) ?? 0) + 1);
  return tokens?.map(token => ({
    ...tokenView(token, nowMillis),
    hits: token.hits,
    holders: counted(holders.get(token.id) ?? 0, 'client'),
  }));
}
