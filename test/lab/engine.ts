import { mkdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from './daemon.ts';
import { copyEngineData } from './engine-data.ts';
import { inNamespace } from './network.ts';
import { mustRun, runCommand, type Argv, type CommandOptions, type CommandOutput } from './run-command.ts';
import { unixRequest } from './unix-request.ts';
import { WaitingProgram } from './waiting-program.ts';

export interface EngineOptions {
  /** Holds everything of the engine. Short: the paths of Unix sockets end after 107 bytes. */
  readonly directory: string;
  /** Name of the network namespace that the engine lives in. */
  readonly namespace: string;
  readonly cgroupParent: string;
  /** Of the machine that the engine takes itself to be on; this machine's unless given. */
  readonly hostname?: string;
  /** Containers go on while the engine is away. */
  readonly liveRestore?: boolean;
  /** Data folder of a stopped engine, to begin with its images. */
  readonly preparedData?: string;
  /** Whether the engine filters and translates with iptables; it does unless told otherwise. */
  readonly iptables?: boolean;
  /** Folder of other programs for the engine than this machine's, see newer-engine.ts. */
  readonly programs?: string;
  /** Further arguments of `dockerd`. */
  readonly arguments?: readonly string[];
}

/** A node of a swarm does not ask a registry, which cannot be reached, for an image that it has. */
const OFFLINE = { DOCKER_SERVICE_PREFER_OFFLINE_IMAGE: '1' };

/**
 * A private Docker engine. containerd is a process of its own, as on a real machine, so that containers outlive an
 * engine that is killed.
 */
export class Engine {
  readonly socketPath: string;
  readonly #options: EngineOptions;
  #containerd: Daemon | undefined;
  #dockerd: Daemon | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    // In a folder of its own: monitors mount the folder, since the engine makes a new socket at each start.
    this.socketPath = join(options.directory, 'run', 'docker.sock');
  }

  get host(): string {
    return `unix://${this.socketPath}`;
  }

  get dataDirectory(): string {
    return join(this.#options.directory, 'data');
  }

  /** Where the engine mounts the network namespaces of its containers. */
  get namespacesDirectory(): string {
    return join(this.#options.directory, 'exec', 'netns');
  }

  /** Starts the engine, or starts it again after {@link stop} or {@link kill}; ready when this returns. */
  async start(): Promise<void> {
    const { directory, namespace, preparedData } = this.#options;
    await mkdir(join(directory, 'run'), { recursive: true });
    if (preparedData !== undefined && !existsSync(this.dataDirectory)) {
      await copyEngineData(preparedData, this.dataDirectory);
    }
    this.#containerd ??= await this.#startContainerd();
    // A killed engine leaves its pid file, whose id may be in use again.
    await rm(this.#path('docker.pid'), { force: true });
    this.#dockerd = await Daemon.start({
      argv: inNamespace(namespace, this.#withHostname(['dockerd', ...this.#dockerdArguments()])),
      env: { ...this.#programEnvironment(), ...OFFLINE },
      logFile: this.#path('dockerd.log'),
    });
    await this.#dockerd.untilReady(() => this.ping());
  }

  /** Ends the engine in order. Its containers end too unless it has live-restore. */
  async stop(): Promise<void> {
    await this.#dockerd?.stop({ timeoutMillis: 30_000 });
  }

  /** The engine is gone at once, its containers stay. */
  async kill(): Promise<void> {
    await this.#dockerd?.stop({ signalName: 'SIGKILL' });
  }

  /** The engine hangs: connections are accepted, nothing is answered. */
  freeze(): void {
    this.#dockerd?.freeze();
  }

  unfreeze(): void {
    this.#dockerd?.signal('SIGCONT');
  }

  /** Ends containerd too, so that the data folder can be copied. No containers may run. */
  async shutDown(): Promise<void> {
    await this.stop();
    await this.#containerd?.stop();
  }

  async ping(): Promise<boolean> {
    const { status } = await unixRequest({
      socketPath: this.socketPath,
      path: '/_ping',
      timeoutMillis: 2_000,
    });
    return status === 200;
  }

  /** Runs the Docker client; its exit code is the caller's business. */
  async run(args: readonly string[], options?: CommandOptions): Promise<CommandOutput> {
    return await runCommand(['docker', ...args], { ...options, env: this.#clientEnvironment() });
  }

  /**
   * Runs the Docker client, which has to succeed.
   *
   * @returns what it printed
   */
  async docker(args: readonly string[], options?: CommandOptions): Promise<string> {
    return await mustRun(['docker', ...args], { ...options, env: this.#clientEnvironment() });
  }

  /** Starts a program in a container that says when it is ready, and waits to be told to go on. */
  async execWaiting(container: string, argv: readonly string[]): Promise<WaitingProgram> {
    const command: Argv = ['docker', 'exec', '--interactive', container, ...argv];
    return await WaitingProgram.start(command, this.#clientEnvironment());
  }

  /** Copies the data folder of the engine, which must be shut down, for {@link EngineOptions.preparedData}. */
  async copyData(destination: string): Promise<void> {
    await copyEngineData(this.dataDirectory, destination);
  }

  async #startContainerd(): Promise<Daemon> {
    const configFile = this.#path('containerd.toml');
    await writeFile(configFile, containerdConfig(this.#options.directory));
    const containerd = await Daemon.start({
      argv: inNamespace(this.#options.namespace, ['containerd', '--config', configFile]),
      env: this.#programEnvironment(),
      logFile: this.#path('containerd.log'),
    });
    await containerd.untilReady(async () => {
      return await Promise.resolve(existsSync(this.#path('containerd.sock')));
    });
    return containerd;
  }

  #dockerdArguments(): string[] {
    return [
      '--host',
      this.host,
      '--containerd',
      this.#path('containerd.sock'),
      '--data-root',
      this.dataDirectory,
      '--exec-root',
      this.#path('exec'),
      '--pidfile',
      this.#path('docker.pid'),
      '--cgroup-parent',
      this.#options.cgroupParent,
      // Not systemd's, which would want a slice as the parent group.
      '--exec-opt',
      'native.cgroupdriver=cgroupfs',
      ...(this.#options.liveRestore === true ? ['--live-restore'] : []),
      ...(this.#options.iptables === false ? ['--iptables=false'] : []),
      ...(this.#options.arguments ?? []),
    ];
  }

  #withHostname(argv: Argv): Argv {
    const { hostname } = this.#options;
    if (hostname === undefined) return argv;
    return ['unshare', '--uts', 'sh', '-c', 'hostname "$0" && exec "$@"', hostname, ...argv];
  }

  #programEnvironment(): NodeJS.ProcessEnv {
    const { programs } = this.#options;
    if (programs === undefined) return process.env;
    return { ...process.env, PATH: `${programs}:${process.env['PATH'] ?? ''}` };
  }

  #clientEnvironment(): NodeJS.ProcessEnv {
    return { ...process.env, DOCKER_HOST: this.host, DOCKER_BUILDKIT: '0' };
  }

  #path(name: string): string {
    return join(this.#options.directory, name);
  }
}

function containerdConfig(directory: string): string {
  return [
    'version = 2',
    `root = "${directory}/containerd-root"`,
    `state = "${directory}/containerd-state"`,
    // Kubernetes' interface and the exotic snapshotters only cost time at the start.
    'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]',
    '[grpc]',
    `address = "${directory}/containerd.sock"`,
    '',
  ].join('\n');
}
