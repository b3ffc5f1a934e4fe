import type { Refusal } from '../control/messages.ts';
import type { EndpointGroup } from '../policy/endpoints.ts';

/** What `GET /api/status` of the monitor answers and `msi-monitor status --json` prints. Times are ISO 8601, UTC. */
export interface MonitorStatus {
  readonly version: string;
  /** Of the machine that the monitor runs on. */
  readonly hostname?: string;
  readonly startedAt: string;
  readonly engine: EngineStatus;
  readonly guard: GuardStatus;
  readonly proxies: readonly ProxyStatus[];
  readonly clients: readonly ClientStatus[];
  /** What the serving proxy keeps; absent while none tells. Without a byte of a token. */
  readonly tokens?: readonly TokenStatus[];
  /** Newest last; bounded. */
  readonly events: readonly StatusEvent[];
}

export interface EngineStatus {
  /** `unresponsive`: it accepts connections but does not answer; wiring stays as it is. */
  readonly state: 'connected' | 'connecting' | 'unresponsive';
  readonly since: string;
  readonly version?: string;
  readonly apiVersion?: string;
  readonly lastError?: string;
  readonly lastSyncAt?: string;
}

export interface GuardStatus {
  readonly mode: 'enforce' | 'audit' | 'off';
  /** `unavailable`: there is no guard for this platform; `reason` says so. */
  readonly state: 'in-place' | 'not-in-place' | 'off' | 'unavailable';
  readonly reason?: string;
  /**
   * The second barrier, in the VM's routing, which holds while somebody else has the packet rules flushed; absent where none
   * is wanted. `unavailable`: `reason` says why it cannot be.
   */
  readonly barrier?: { readonly state: 'in-place' | 'unavailable'; readonly reason?: string };
  /** How often what somebody else did to the rules was undone since the monitor started. */
  readonly repairs: number;
  /** The last time, and what had been done, in words. */
  readonly lastRepair?: { readonly at: string; readonly differences: readonly string[] };
  /** Whom the guard stopped, or in audit mode would have stopped, since the monitor started. Bounded. */
  readonly stopped: readonly StoppedSource[];
}

/** Somebody who tried to go past the proxy. */
export interface StoppedSource {
  readonly address: string;
  /** Of the container that had the address when it was noticed; absent when none is known. */
  readonly containerId?: string;
  readonly name?: string;
  /** New connections, and packets of what has no connections. */
  readonly attempts: number;
  readonly lastAt: string;
}

export type ProxyState =
  /** All clients are sent to this one. */
  | 'serving'
  /** Ready, and takes over when the serving one goes away. */
  | 'standby'
  /** Seen, but no control session or not on the proxy network yet. */
  | 'starting'
  /** Runs, but cannot serve; `reason` says why. */
  | 'unhealthy';

export interface ProxyStatus {
  readonly containerId: string;
  readonly name: string;
  readonly state: ProxyState;
  readonly since: string;
  readonly reason?: string;
  readonly address?: string;
  readonly version?: string;
  readonly instanceId?: string;
  /** How it finds IMDS. Absent until it has told. */
  readonly imds?: { readonly state: 'unknown' | 'answering' | 'failing'; readonly lastError?: string };
}

export type ClientState =
  /** Verified: requests of this container reach the serving proxy, which knows its policy. */
  | 'wired'
  /** Work is under way or waits for something named in `reason`, usually a proxy. */
  | 'pending'
  /** Will not be wired; `reason` says why and what would change it. */
  | 'refused'
  /** Should be wired, but the last attempt failed; tried again by itself. */
  | 'failed';

export type WiringMethodName = 'host' | 'nat' | 'attach' | 'portproxy';

export interface ClientStatus {
  readonly containerId: string;
  readonly name: string;
  readonly image: string;
  readonly startedAt: string;
  readonly state: ClientState;
  readonly since: string;
  readonly reason?: string;
  readonly method?: WiringMethodName;
  readonly addresses: readonly string[];
  /** From the container's start to verified wiring; absent for containers that ran before the monitor. */
  readonly wiredAfterMillis?: number;
  readonly policy?: PolicySummary;
  /** What the proxies counted; absent as long as they have seen no request of this container. */
  readonly traffic?: ClientTraffic;
  /** Which of {@link MonitorStatus.tokens} it was given, by their ids. Absent when it has none, or the proxy does not tell. */
  readonly tokens?: readonly number[];
}

/** Counts begin at 0 with each start of a proxy. */
export interface ClientTraffic {
  readonly requests: number;
  readonly refusals: number;
  readonly lastRefusal?: Refusal;
}

/** A token that a proxy keeps. */
export interface TokenStatus {
  readonly id: number;
  /** In the words of the labels; absent for whichever IMDS picked. */
  readonly identity?: string;
  readonly resource: string;
  readonly receivedAt: string;
  readonly expiresAt: string;
  /** Requests that were answered with it without asking IMDS. */
  readonly hits: number;
}

/** A policy in the words of the labels. */
export interface PolicySummary {
  readonly identity?: string;
  readonly identities: readonly string[];
  readonly resources: readonly string[];
  readonly endpoints: readonly EndpointGroup[];
}

export interface StatusEvent {
  readonly at: string;
  readonly message: string;
  readonly containerId?: string;
}
