import type { Readable, Writable } from 'node:stream';

/** Docker's answer about itself. */
export interface EngineVersion {
  readonly version: string;
  /** The API version that is spoken, after negotiation. */
  readonly apiVersion: string;
}

export type ContainerState = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

export interface ContainerSummary {
  readonly id: string;
  /** Without Docker's leading slash. */
  readonly name: string;
  readonly state: ContainerState;
  readonly labels: Readonly<Record<string, string>>;
  /** See {@link ContainerDetails}, also of the following. */
  readonly image: string;
  /** RFC 3339. The list tells no time of start. */
  readonly createdAt: string;
  readonly networkMode: string;
  readonly networks: readonly ContainerNetwork[];
}

export interface ContainerNetwork {
  readonly name: string;
  readonly networkId: string;
  /** IPv4, or empty while the container has no address there. */
  readonly address: string;
  /** Of this one time that it is connected there; absent while it has no interface there. */
  readonly endpointId?: string;
}

export interface ContainerDetails {
  readonly id: string;
  /** Without Docker's leading slash. */
  readonly name: string;
  /** As the container was asked for, by name or id. */
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly platform: 'linux' | 'windows';
  readonly state: ContainerState;
  /** As the engine writes it (RFC 3339, nanoseconds). Together with the id it names one run of the container. */
  readonly startedAt: string;
  /** In the engine's PID namespace; 0 when the container does not run. */
  readonly pid: number;
  /** `bridge`, `host`, `none`, a network's name, or `container:` with the id, or the name, of another container. */
  readonly networkMode: string;
  /** Id of the container whose network it joined when it was started; absent on Windows, where the engine does not tell. */
  readonly startedInNetworkOf?: string;
  /** File of the network namespace, as the engine sees it; empty when there is none. */
  readonly sandboxKey: string;
  readonly networks: readonly ContainerNetwork[];
  /** Whether programs in it may send packets of any form, with any source address (NET_RAW): Docker's default. */
  readonly mayForgePackets: boolean;
  /** On Windows `process`, `hyperv` or, for what the engine is set to, `default`; else empty. */
  readonly isolation: string;
}

export interface NetworkDetails {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly internal: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** The first IPv4 subnet, in CIDR notation. */
  readonly subnet?: string;
  readonly gateway?: string;
  /**
   * IPv4 addresses by container id. Only {@link EngineClient.inspectNetwork} fills it. Keys that are not container ids
   * (`gateway_docker_gwbridge…`, `lb-…`) are passed on as the engine gives them.
   */
  readonly containers: Readonly<Record<string, { readonly address: string }>>;
}

/** A container that is connected to a network, whether it runs or not. */
export interface NetworkMember {
  readonly containerId: string;
  readonly state: ContainerState;
  /** IPv4 that it is to have there whenever it runs; empty when the engine chooses. */
  readonly askedAddress: string;
}

export interface NewNetwork {
  readonly name: string;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** IPv4, in CIDR notation; the engine chooses when it is left out. */
  readonly subnet?: string;
  /** Part of {@link subnet} that the engine takes addresses from by itself; all of it when it is left out. */
  readonly addressRange?: string;
  /** Without a way out. */
  readonly internal?: boolean;
}

export interface EndpointOptions {
  /** IPv4; the engine chooses when it is left out. */
  readonly address?: string;
}

export interface EngineEvent {
  /** `container`, `network`, and others that are of no use here. */
  readonly type: string;
  /** `start`, `die`, `connect` …; `exec_start: <argv>` and the like carry more text. */
  readonly action: string;
  readonly actorId: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since 1970 by the engine's clock, to the precision of a double. */
  readonly timeNano: number;
}

export interface EventOptions {
  /** Seconds since 1970, fractions allowed: replays events from then on, as far as the engine remembers them. */
  readonly sinceSeconds?: number;
  /** Closes the stream, or gives up subscribing. */
  readonly signal: AbortSignal;
}

export interface ExecOptions {
  /** The container's own user when left out. */
  readonly user?: string;
}

/**
 * A command that runs in a container, with its standard streams apart. Both outputs must be read: they come over one
 * connection, and what is not read of one holds up the other.
 */
export interface ExecStream extends ExecOutput {
  readonly stdin: Writable;
}

export interface ExecOutput {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Fulfilled when the stream is over, for whatever reason; never rejected. */
  readonly closed: Promise<void>;
  /** Cuts the stream. The command itself sees its standard input end; the engine does not kill it. */
  destroy(): void;
}

export interface RunExecOptions extends ExecOptions {
  /** Written to the command's standard input, which then ends; the command has none when it is left out. */
  readonly stdin?: string;
  /** For the command as a whole, after which it is `MSI_ENGINE_UNRESPONSIVE`; 60 seconds when left out. */
  readonly timeoutMillis?: number;
  /** Gives up waiting for the command, which goes on; its reason is thrown. */
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  /** The command's own, or 126 or 127 when it could not be started. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * All that the monitor asks of Docker. Every call may throw `MSI_ENGINE_UNREACHABLE`, `MSI_ENGINE_FORBIDDEN`,
 * `MSI_ENGINE_TOO_OLD`, `MSI_ENGINE_UNRESPONSIVE` or `MSI_ENGINE_REQUEST`. Fields that an engine leaves out are read as
 * empty, because API versions differ in them.
 */
export interface EngineClient {
  /** DOCKER_HOST as given, for messages. */
  readonly host: string;
  /** Negotiates the API version anew, so that an engine that was upgraded under us is spoken to correctly. */
  version(): Promise<EngineVersion>;
  /** Whether the engine answers within the time; 5 seconds when left out. */
  ping(timeoutMillis?: number): Promise<void>;
  /** What Windows containers get that name no isolation: `process` or `hyperv`; empty on engines for Linux. */
  defaultIsolation(): Promise<string>;
  /** Containers that run, also those that are paused or restarting. */
  listContainers(): Promise<ContainerSummary[]>;
  /** `undefined` when there is no such container. */
  inspectContainer(id: string): Promise<ContainerDetails | undefined>;
  /** `undefined` when there is no such network. */
  inspectNetwork(nameOrId: string): Promise<NetworkDetails | undefined>;
  /** All containers on a network, also those that do not run: {@link inspectNetwork} names only those that do. */
  listNetworkMembers(name: string): Promise<NetworkMember[]>;
  /** All networks, without the containers on them. */
  listNetworks(): Promise<NetworkDetails[]>;
  /** Success also when a network of this name exists already. */
  createNetwork(options: NewNetwork): Promise<void>;
  /** Success also when the container is on it already. */
  connectNetwork(network: string, containerId: string, options?: EndpointOptions): Promise<void>;
  /** Success also when the container is not on it, or either is not there. */
  disconnectNetwork(network: string, containerId: string): Promise<void>;
  /** Success also when it is not there. Containers on it must have been disconnected. */
  removeNetwork(network: string): Promise<void>;
  /** Starts a command without a terminal. Settles once its streams are connected. */
  openExec(containerId: string, argv: readonly string[], options?: ExecOptions): Promise<ExecStream>;
  /** Runs a command to its end. Output beyond 1 MiB a stream is `MSI_ENGINE_REQUEST`. */
  runExec(containerId: string, argv: readonly string[], options?: RunExecOptions): Promise<ExecResult>;
  /**
   * Settles once the engine has accepted the subscription: what happens from then on is in the iterable, which ends
   * when the stream closes, for whatever reason. Events are hints: engines drop them for slow readers.
   */
  events(options: EventOptions): Promise<AsyncIterable<EngineEvent>>;
}
