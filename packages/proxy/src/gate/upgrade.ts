import type { RequestHeaders } from './request-headers.ts';

/** What a request says about going on in another protocol on the same connection. */
export type Upgrade = 'none' | 'http2-offer' | 'other';

/** As RFC 7540, 3.2.1 has it: base64url without padding. */
const HTTP2_SETTINGS = /^[A-Za-z0-9_-]*$/;

/**
 * `java.net.http.HttpClient` offers HTTP/2 with every request to an `http:` address unless it was told not to, and takes
 * the answer in HTTP/1.1 as well (JDK: `Exchange.checkForUpgradeAsync`). A server may ignore an offer (RFC 9110, 7.8);
 * this one always does, and no part of it goes to IMDS. Only that very form counts as an offer, because all others are
 * the start of something that is not HTTP.
 */
export function upgradeOf(headers: RequestHeaders): Upgrade {
  const listed = headers.all('connection').flatMap(value => value.toLowerCase().split(','));
  const options = listed.map(option => option.trim());
  const isNamed = options.some(option => /\bupgrade\b/.test(option));
  if (!isNamed && !headers.has('upgrade')) return 'none';
  const isOffer =
    headers.single('upgrade') === 'h2c' &&
    HTTP2_SETTINGS.test(headers.single('http2-settings') ?? ' ') &&
    options.toSorted().join() === 'http2-settings,upgrade';
  return isOffer ? 'http2-offer' : 'other';
}
