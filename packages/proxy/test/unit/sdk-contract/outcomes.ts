import type { RawAnswer } from '../support/raw-client.ts';

/** What a client makes of an answer to its token request. */
export type Outcome =
  | 'token'
  /** No identity here: a chain of credentials goes on to its next one. */
  | 'next'
  /** An error that ends the attempt and reaches the developer. */
  | 'stop'
  /** The same request again after a pause. */
  | 'again';

export type Read = (answer: RawAnswer) => Outcome;

/** How a client reads answers; what it does not say is an error that ends the attempt. */
export interface ReadingRules {
  readonly again?: (status: number) => boolean;
  readonly next?: (answer: RawAnswer) => boolean;
  /** Whether it can use the answer to a request that succeeded. */
  readonly token?: (answer: RawAnswer) => boolean;
}

export function reader({ again = never, next = never, token = hasToken }: ReadingRules): Read {
  return answer => {
    if (answer.status === 200) return token(answer) ? 'token' : 'stop';
    if (again(answer.status)) return 'again';
    return next(answer) ? 'next' : 'stop';
  };
}

/** Statuses after which a client tries again; `5xx` stands for all from 500 to 599. */
export function statuses(...listed: readonly (number | '5xx')[]): (status: number) => boolean {
  return status => listed.includes(status) || (listed.includes('5xx') && status >= 500 && status <= 599);
}

export function isBadRequest({ status }: RawAnswer): boolean {
  return status === 400;
}

/** Docker Desktop's answer for an address that it cannot reach. */
export function saysUnreachable({ status, body }: RawAnswer): boolean {
  return status === 403 && body.includes('unreachable');
}

/** The same to Java, which reads the reason phrase of the status line. */
export function hasUnreachableReason({ status, text }: RawAnswer): boolean {
  const statusLine = text.slice(0, text.indexOf('\r\n'));
  return status === 403 && statusLine.includes('A socket operation was attempted to an unreachable network');
}

/** A token and when it expires, as seconds since 1970: `@azure/identity`, MSAL, azidentity. */
export function hasToken({ body }: RawAnswer): boolean {
  const { access_token: token, expires_on: expiresOn } = JSON.parse(body) as Record<string, unknown>;
  return typeof token === 'string' && token !== '' && isFuture(Number(expiresOn));
}

/** MSAL Python reads `expires_in` alone, and takes 0 or its absence for an error. */
export function hasRemainingTime({ body }: RawAnswer): boolean {
  const { access_token: token, expires_in: expiresIn } = JSON.parse(body) as Record<string, unknown>;
  return typeof token === 'string' && /^[1-9]\d*$/.test(String(expiresIn));
}

/**
 * MSAL.NET puts `expires_on` and `expires_in` into one field, so that the later one in the text wins; a small value is a
 * time from now. All values have to be texts.
 */
export function isReadByMsalNet({ body }: RawAnswer): boolean {
  const fields = Object.entries(JSON.parse(body) as Record<string, unknown>);
  const expiry = fields.findLast(([name]) => name === 'expires_on' || name === 'expires_in');
  const seconds = Number(expiry?.[1]);
  const expiresOn = seconds < SMALLEST_POINT_IN_TIME ? Date.now() / 1_000 + seconds : seconds;
  return fields.every(([, value]) => typeof value === 'string') && isFuture(expiresOn);
}

/** Found three characters after the name, without a parser of JSON. */
export function hasCompactToken({ body }: RawAnswer): boolean {
  return /access_token":"[^"]+"/.test(body);
}

/** Hadoop wants to know the length before it reads, and the type exactly. */
export function isReadByHadoop(answer: RawAnswer): boolean {
  const { headers } = answer;
  return (
    (headers['content-type'] ?? '').startsWith('application/json') &&
    Number(headers['content-length']) > 0 &&
    hasToken(answer) &&
    hasRemainingTime(answer)
  );
}

/** 2001-01-01, in seconds since 1970. */
const SMALLEST_POINT_IN_TIME = 978_307_200;

const LONGEST_LIFETIME_SECONDS = 86_400;

function isFuture(expiresOn: number): boolean {
  const remaining = expiresOn - Date.now() / 1_000;
  return remaining > 0 && remaining <= LONGEST_LIFETIME_SECONDS;
}

function never(): boolean {
  return false;
}
