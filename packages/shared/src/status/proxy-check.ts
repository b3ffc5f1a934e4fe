import type { Caller } from '../control/messages.ts';

/** What `msi-proxy check --json` prints: what a proxy sees of the world around it, asked just now. */
export interface ProxyCheck {
  /** Where packets for IMDS go, in this container. */
  readonly route: Sight;
  /** What IMDS answers to a request for its versions, which needs no identity. */
  readonly imds: Sight;
  /** Whether the server in this container is well. */
  readonly server: Sight;
  /** What the proxy's settings do to all policies. */
  readonly policy: {
    /** `audit`: policies are only recorded. */
    readonly mode: 'enforce' | 'audit';
    /** Whether containers whose labels name no identity get no tokens. */
    readonly requireIdentity: boolean;
  };
  /** Whom the server knows, as the monitor has told it; absent when it does not answer. */
  readonly callers?: readonly Caller[];
}

export interface Sight {
  readonly ok: boolean;
  /** In words. */
  readonly seen: string;
}
