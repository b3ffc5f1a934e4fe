import type { MonitorStatus } from '@msi-proxy/shared';

export type Readiness =
  | { readonly ready: true }
  /** What is missing, in words. */
  | { readonly ready: false; readonly reasons: readonly string[] };

/** The monitor as its status server sees it. */
export interface StatusSource {
  status(): MonitorStatus;
  /** Ready: the event stream is open, everything was read lately, and the guard is as wanted. */
  readiness(): Readiness;
}
