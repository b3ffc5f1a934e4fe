const NUMBERS = new Intl.NumberFormat('en-US');

export function numberText(value: number): string {
  return NUMBERS.format(value);
}

/** `1 client`, `2 clients`. */
export function counted(count: number, noun: string): string {
  return `${numberText(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** Milliseconds as people say them. */
export function tookText(millis: number): string {
  if (millis < 1_000) return `${Math.round(millis)} ms`;
  return `${(millis / 1_000).toFixed(millis < 10_000 ? 1 : 0)} s`;
}

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** An identity by what tells it from others: the name at the end of a resource id, the beginning of a GUID. */
export function shortIdentity(identity: string): string {
  if (identity.startsWith('/')) return identity.slice(identity.lastIndexOf('/') + 1) || identity;
  if (GUID.test(identity)) return `${identity.slice(0, 8)}…`;
  if (identity.startsWith('object:') && GUID.test(identity.slice(7))) return `${identity.slice(0, 15)}…`;
  return identity;
}

/** A resource without what all of them begin with. */
export function shortResource(resource: string): string {
  return resource.replace(/^https:\/\//, '').replace(/\/+$/, '');
}

const SHORT_ID_LENGTH = 12;

export function shortId(containerId: string): string {
  return containerId.slice(0, SHORT_ID_LENGTH);
}

/** Reasons of refusals are words with hyphens. */
export function reasonText(reason: string): string {
  return /^[a-z]+(?:-[a-z]+)+$/.test(reason) ? reason.replaceAll('-', ' ') : reason;
}
