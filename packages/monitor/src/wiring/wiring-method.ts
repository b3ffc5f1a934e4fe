import type { WiringMethodName } from '@msi-proxy/shared';

/** Where clients are sent: the serving proxy as seen from its own network. */
export interface ProxyTarget {
  readonly containerId: string;
  readonly instanceId: string;
  readonly port: number;
  /** The proxy's address on the proxy network. */
  readonly address: string;
  /** All of the proxy's addresses, by network name: a method may prefer one that the client's network shares. */
  readonly addressesByNetwork: Readonly<Record<string, string>>;
}

/** One of a container's network attachments, as far as wiring cares. */
export interface ClientNetwork {
  readonly name: string;
  /** Docker's driver name: `bridge`, `overlay`, `macvlan`, `ipvlan`, `host`, `null`, `nat`, … */
  readonly driver: string;
  readonly internal: boolean;
  readonly address: string;
}

/** A client container in one run of it. A restart gives it another `startedAt` and another network namespace. */
export interface WirableClient {
  readonly containerId: string;
  readonly name: string;
  readonly startedAt: string;
  /** Process id of its first process, in the engine's process-id namespace. */
  readonly pid: number;
  /** Path of the namespace file, as the engine names it. May be empty. */
  readonly sandboxKey: string;
  readonly networks: readonly ClientNetwork[];
  readonly platform: 'linux' | 'windows';
  /** On Windows, `process` or `hyperv`, where the engine tells it; else empty. */
  readonly isolation: string;
  readonly paused: boolean;
}

export type Suitability = { readonly suitable: true } | { readonly suitable: false; readonly reason: string };

/**
 * One way to bring 169.254.169.254:80 of a client to the proxy. Every step is idempotent and derives what is there by
 * reading it back, never from memory: a monitor may die between any two of them.
 */
export interface WiringMethod {
  readonly name: WiringMethodName;

  /** Set where {@link apply} has verified what it returns; where all is likely to be there already, {@link verify} alone is tried. */
  readonly applyVerifies?: true;

  /** Set where {@link verify} is so much faster than {@link apply} that it is tried where anything may be there already. */
  readonly appliesSlowly?: true;

  /**
   * Set where clients are sent to another proxy without anything being done for the single one, and where they need no
   * network in common with it.
   */
  readonly movesWithProxy?: true;

  /** Whether this method can serve the client at all; the reason is shown to the operator. Reads nothing. */
  suits(client: WirableClient): Suitability;

  /** Makes the wiring true. Does nothing where it is already. */
  apply(client: WirableClient, target: ProxyTarget, hints?: ApplyHints): Promise<ApplyResult>;

  /**
   * For methods that apply slowly: sends a client that is wired to one proxy to another, and verifies it.
   * @throws {MsiProxyError} when that does not do, or does not do alone; {@link apply} does all of it then
   */
  retarget?(client: WirableClient, target: ProxyTarget): Promise<void>;

  /**
   * For methods that apply fast, but prove slowly: sends a client that is wired to one proxy to another in the shortest way,
   * unproved. What is done to all clients when the proxy changes, before each of them is looked at.
   */
  redirect?(
    client: WirableClient,
    target: ProxyTarget,
    options: {
      /** Whether connections to the proxy before are forgotten: it is gone. One that leaves in order ends them itself. */
      readonly flushFlows: boolean;
    },
  ): Promise<void>;

  /**
   * Reads back what holds, and proves it where it can.
   * @throws {MsiProxyError} `MSI_WIRING_NOT_EFFECTIVE` when it does not hold, or another code when it cannot be read
   */
  verify(client: WirableClient, target: ProxyTarget): Promise<void>;

  /** Takes the wiring away; absence is success, and so is a client that is gone. */
  remove(client: WirableClient): Promise<void>;
}

/** `repaired`: part of it was there, but not as it should be. */
export type ApplyResult = 'unchanged' | 'applied' | 'repaired';

/** What need not be true, and saves a look where it is. */
export interface ApplyHints {
  /** Nothing of the wiring is there yet. */
  readonly isLikelyNew?: boolean;
}
