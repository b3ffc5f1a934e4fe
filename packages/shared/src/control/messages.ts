import type { ProxyMetricNumbers } from '../metrics/proxy-metrics.ts';
import type { ClientPolicy } from '../policy/client-policy.ts';
import type { IdentityRef } from '../policy/identity.ts';

/**
 * The control protocol between monitor and proxy: one JSON object a line over the standard streams of
 * `docker exec -i <proxy> msi-proxy control`. The monitor opens with `hello`; the proxy answers `welcome`; then a
 * `snapshot` and `delta`s bring the callers, each acknowledged by revision. Both ends send `heartbeat`s, because an
 * engine that hangs keeps the stream open and silent. The newest session wins.
 *
 * The ends may be of different versions: messages of a type that one does not know, and fields that it does not know, it
 * leaves out, and does without those that the other does not send. So a new message must be one that can be missed, and a
 * new field one that may be absent: never one that takes something away from a caller, because an older proxy would go on
 * granting it. Whatever cannot be done so takes another number here, which ends the session at once, with an error that
 * says so.
 */
export const CONTROL_PROTOCOL = 1;

/** Lines longer than this end the session: 2,000 callers with long policies stay below it. */
export const MAX_CONTROL_LINE_BYTES = 4 * 1024 * 1024;

/** Both ends send a heartbeat this often. */
export const HEARTBEAT_INTERVAL_MILLIS = 1_000;

/**
 * An end that has heard nothing for this long takes the session for silent. The stream runs through the Docker engine:
 * when the engine hangs, or the VM is very busy, it stays open and silent; when the monitor dies, it ends. In silence the
 * proxy asks by another way whether anything has changed ({@link Witness}), and holds the requests of those for whom
 * nobody vouches; when the session has ended, it holds all until a monitor is back. The monitor pings the engine to
 * tell a hung engine (wait) from a hung proxy (take another one).
 */
export const SILENCE_MILLIS = 3_500;

/** After this much silence both ends give the session up. */
export const HEARTBEAT_TIMEOUT_MILLIS = 90_000;

/** Who is behind a source address, and what is granted to it. */
export interface Caller {
  readonly address: string;
  readonly containerId: string;
  readonly name: string;
  /** With the id, tells one run of a container from the next. As in Docker's `State.StartedAt`. */
  readonly startedAt: string;
  readonly grant: Grant;
}

export type Grant =
  | { readonly kind: 'client'; readonly policy: ClientPolicy }
  /** Labelled, but not served: malformed labels, an address that two containers claim, … */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Not labelled: answered like a VM without an identity. */
  | { readonly kind: 'unlabelled' };

export interface Hello {
  readonly type: 'hello';
  readonly protocol: number;
  readonly sessionId: string;
  readonly monitorVersion: string;
}

/** Replaces the whole table of callers. It tells of them, and confirms none: nobody knows how long it was under way. Sent at the start of a session and at each resync. */
export interface Snapshot {
  readonly type: 'snapshot';
  readonly revision: number;
  readonly callers: readonly Caller[];
}

/** Changes the table. `removed` goes first, so that an address can change hands in one message. */
export interface Delta {
  readonly type: 'delta';
  readonly revision: number;
  readonly removed: readonly string[];
  readonly upserted: readonly Caller[];
}

/** Answer to {@link Confirm}. */
export interface Confirmed {
  readonly type: 'confirmed';
  readonly requestId: number;
  readonly address: string;
  readonly result:
    /** Inspected just now: this container, in this run, has the address. */
    | { readonly kind: 'caller'; readonly caller: Caller }
    /** No running container has the address. */
    | { readonly kind: 'nobody' }
    /** The engine does not answer, and nobody else can say. */
    | { readonly kind: 'engine-unresponsive' };
}

/**
 * Tells the proxy whether clients are sent to it. One that stands by still answers, but ends the connection with each
 * answer, so that clients move to the one that serves.
 */
export interface Role {
  readonly type: 'role';
  readonly role: 'serving' | 'standby';
  /** To one that stands by: what the one that serves keeps. Absent when that is not known, which changes nothing. */
  readonly tokens?: readonly GivenToken[];
}

/** What a token was asked for, and since when it is kept. No byte of the token. */
export interface GivenToken {
  /** Path and query of the request to IMDS. */
  readonly target: string;
  /** Wall clock of the VM, milliseconds since the epoch. */
  readonly sinceMillis: number;
}

/** So many, those that were asked for last, are told of. */
export const MAX_GIVEN_TOKENS = 32;

/**
 * Moves the proxy's route to IMDS to the network on which it has `address`, whose gateway is `gateway`. Carried out by
 * the `control` process, which exec starts as root; the server has dropped its rights.
 */
export interface SetRoute {
  readonly type: 'set-route';
  readonly requestId: number;
  readonly address: string;
  readonly gateway: string;
  /**
   * 169.254.169.254 will be the proxy's own address on another network (`attach`): what the proxy sends there must leave
   * it all the same. Set before it is connected.
   */
  readonly holdsImdsAddress?: boolean;
}

/**
 * Where the monitor can be asked while this session is silent, see `WitnessQuestion`. One that is missed leaves requests
 * waiting in silence.
 */
export interface Witness {
  readonly type: 'witness';
  readonly address: string;
  readonly port: number;
  /** Secret, in hex. */
  readonly key: string;
}

export interface Heartbeat {
  readonly type: 'heartbeat';
  readonly sessionId: string;
}

/** Asks what the proxy's token cache holds. Also without a `hello`: `msi-proxy tokens` uses it. */
export interface ListTokens {
  readonly type: 'list-tokens';
}

/** Drops tokens: all, or those of one identity. Also without a `hello`. */
export interface FlushTokens {
  readonly type: 'flush-tokens';
  readonly identity?: IdentityRef;
}

export interface Welcome {
  readonly type: 'welcome';
  readonly protocol: number;
  readonly sessionId: string;
  readonly proxyVersion: string;
  /** New at each start of the server; the ready path answers it in a header. */
  readonly instanceId: string;
  /** TCP port that the server listens on, in the proxy's network namespace. */
  readonly port: number;
}

export interface Ack {
  readonly type: 'ack';
  readonly revision: number;
}

/** The proxy asks whether the container at this address is still the one it knows, before it serves it. */
export interface Confirm {
  readonly type: 'confirm';
  readonly requestId: number;
  readonly address: string;
}

export interface RouteSet {
  readonly type: 'route-set';
  readonly requestId: number;
  readonly ok: boolean;
  readonly message: string;
}

/** Sent every few seconds when something changed: what the proxy saw. Counts are since its start. */
export interface Report {
  readonly type: 'report';
  readonly upstream: { readonly state: 'unknown' | 'answering' | 'failing'; readonly lastError?: string };
  readonly draining: boolean;
  readonly callers: readonly CallerReport[];
  /** At most {@link MAX_GIVEN_TOKENS}, in the order of their targets. Absent from proxies of 0.1. */
  readonly givenTokens?: readonly GivenToken[];
}

/** Sent every few seconds: the proxy's metrics, by the keys of `PROXY_METRICS`. To be read by `readProxyMetrics`. */
export interface Metrics {
  readonly type: 'metrics';
  readonly values: ProxyMetricNumbers;
}

export interface CallerReport {
  readonly containerId: string;
  readonly requests: number;
  readonly refusals: number;
  readonly lastRefusal?: Refusal;
}

export interface Refusal {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** As in the audit log. */
  readonly reason: string;
}

/** Answer to {@link ListTokens}; the most recently used first. */
export interface Tokens {
  readonly type: 'tokens';
  readonly tokens: readonly TokenSummary[];
  /** How many there are beside these, which would make the line too long. Absent where there are none, and from older proxies. */
  readonly more?: number;
}

/** Answer to {@link FlushTokens}. */
export interface TokensFlushed {
  readonly type: 'tokens-flushed';
  readonly count: number;
}

/** A cached token, without a byte of it. */
export interface TokenSummary {
  /** In the words of the labels; `undefined` for whichever IMDS picks. */
  readonly identity?: string;
  readonly resource: string;
  readonly ageSeconds: number;
  /** ISO 8601, UTC. */
  readonly expiresAt: string;
  /** Answers given from the cache. */
  readonly hits: number;
  /** Tells it from the other tokens of this proxy. Absent in answers of older proxies. */
  readonly id?: number;
  /** Containers that were given it, or the one that it renewed. Absent in answers of older proxies; not all of many thousands. */
  readonly containerIds?: readonly string[];
}

/** Asks whom the proxy knows. Also without a `hello`: `msi-proxy check` uses it. */
export interface ListCallers {
  readonly type: 'list-callers';
}

/** Answer to {@link ListCallers}. */
export interface Callers {
  readonly type: 'callers';
  readonly callers: readonly Caller[];
}

export type MonitorMessage =
  | Hello
  | Snapshot
  | Delta
  | Confirmed
  | Role
  | SetRoute
  | ListTokens
  | FlushTokens
  | Heartbeat
  | ListCallers
  | Witness;
export type ProxyMessage =
  Welcome | Ack | Confirm | RouteSet | Report | Metrics | Tokens | TokensFlushed | Heartbeat | Callers;
