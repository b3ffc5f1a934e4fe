import { join } from 'node:path';
import { type Labels, type MonitorStatus } from '@msi-proxy/shared';
import { runCommand, type Argv, type CommandOutput } from '../../lab/run-command.ts';
import {
  BASE_IMAGE,
  clientContainer,
  curlArguments,
  monitorContainer,
  NAT_MONITOR_ARGUMENTS,
  NODE_OPTIONS,
  nodeArgv,
  PROXY_NETWORK,
  proxyContainer,
  readCurlOutput,
  requestFrom,
  runArguments,
  sdkTokenFrom,
  SimulatedVm,
  waitUntil,
  type ContainerOptions,
  type Daemon,
  type ImdsAnswer,
  type ImdsRequest,
  type SdkLanguage,
  type SdkRequest,
  type SdkResult,
  type SimulatedVmOptions,
} from '../../lab/index.ts';
import { bundleProgram } from '../../../scripts/lib/bundle.ts';
import { WINDOWS_CLIENT_IMAGE } from '../../../scripts/lib/image-builder.ts';
import { productEngineData } from './product-data.ts';

export type Wiring = 'host' | 'nat' | 'attach' | 'portproxy';

export interface ScenarioOptions extends Pick<
  SimulatedVmOptions,
  'liveRestore' | 'iptables' | 'programs' | 'arguments'
> {
  /** Of every monitor that the scenario starts. */
  readonly wiring: Wiring;
  /** Whether monitors are started as they are shipped, from one file, which takes a fraction of the time. */
  readonly bundled?: boolean;
}

export interface StartContainerOptions extends Partial<Omit<ContainerOptions, 'name'>> {
  readonly name: string;
}

const MONITOR_LISTEN = '127.0.0.1:9180';
const PROXY_IMAGE = 'msi-proxy/proxy:latest';
const MONITOR_IMAGE = 'msi-proxy/monitor:latest';
const IDLE = ['sleep', 'infinity'];

/** A simulated VM with the product's images, and what tests do with it. Remove it with `await using`. */
export class Scenario implements AsyncDisposable {
  readonly vm: SimulatedVm;
  readonly wiring: Wiring;
  readonly #monitorArgv: Argv;
  #monitor: Daemon | undefined;

  private constructor(vm: SimulatedVm, wiring: Wiring, monitorArgv: Argv) {
    this.vm = vm;
    this.wiring = wiring;
    this.#monitorArgv = monitorArgv;
  }

  static async start({ wiring, bundled = false, ...options }: ScenarioOptions): Promise<Scenario> {
    const preparedData = await productEngineData();
    const vm = await SimulatedVm.start({ preparedData, ...options });
    if (!bundled) return new Scenario(vm, wiring, nodeArgv('packages/monitor/src/main.ts'));
    const file = join(vm.directory, 'msi-monitor.mjs');
    await bundleProgram('msi-monitor', file);
    return new Scenario(vm, wiring, [process.execPath, file]);
  }

  /** Starts a monitor as a plain process on the VM and waits until it has read everything, and made the proxies' network. */
  async startMonitor(env: Readonly<Record<string, string>> = {}): Promise<Daemon> {
    const monitor = await this.spawnMonitor(env);
    await monitor.untilReady(async () => hasRead(await this.status()));
    return monitor;
  }

  /** The same without waiting for anything. */
  async spawnMonitor(env: Readonly<Record<string, string>> = {}): Promise<Daemon> {
    this.#monitor = await this.vm.startDaemon('monitor', [...this.#monitorArgv, 'run'], {
      ...this.#monitorEnvironment(),
      ...env,
    });
    return this.#monitor;
  }

  /** Starts a monitor as a container and waits until it answers. */
  async startMonitorContainer(options: Partial<ContainerOptions> = {}): Promise<string> {
    const { name = 'monitor', extra = [], env } = options;
    await this.docker(
      ...runArguments(
        monitorContainer(
          {
            image: MONITOR_IMAGE,
            ...options,
            name,
            env: { MSI_MONITOR_WIRING: this.wiring, MSI_MONITOR_LISTEN: MONITOR_LISTEN, ...env },
            extra: [...(this.wiring === 'nat' ? NAT_MONITOR_ARGUMENTS : []), ...extra],
          },
          this.vm.engine.socketPath,
        ),
      ),
    );
    await waitUntil(async () => hasRead(await this.status()), { what: 'the monitor to read everything' });
    return name;
  }

  /** Starts a monitor and does not wait for it to find Docker. */
  async startUnconnectedMonitor(env: Readonly<Record<string, string>>): Promise<Daemon> {
    const monitor = await this.spawnMonitor(env);
    await monitor.untilReady(async () => (await this.status()).version !== '');
    return monitor;
  }

  /** Runs a command of the monitor's program on the VM. */
  async runMonitorCommand(...command: string[]): Promise<CommandOutput> {
    return await this.runMonitorCommandWith({}, ...command);
  }

  async runMonitorCommandWith(
    env: Readonly<Record<string, string>>,
    ...command: string[]
  ): Promise<CommandOutput> {
    return await this.vm.run(nodeArgv('packages/monitor/src/main.ts', ...command), {
      env: { ...this.#monitorEnvironment(), ...env },
    });
  }

  /** The same as somebody who is not root, and may read this tree also where only root may: sockets ask for more. */
  async runMonitorCommandAs(user: number, ...command: string[]): Promise<CommandOutput> {
    const id = String(user);
    return await this.vm.run(
      [
        'setpriv',
        `--reuid=${id}`,
        `--regid=${id}`,
        '--clear-groups',
        '--inh-caps=+dac_read_search',
        '--ambient-caps=+dac_read_search',
        ...nodeArgv('packages/monitor/src/main.ts', ...command),
      ],
      { env: this.#monitorEnvironment() },
    );
  }

  /** What the monitors of this scenario have logged. */
  monitorLog(): string {
    return this.#monitor?.log ?? '';
  }

  #monitorEnvironment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      DOCKER_HOST: this.vm.engine.host,
      MSI_MONITOR_WIRING: this.wiring,
      MSI_MONITOR_LISTEN: MONITOR_LISTEN,
      NODE_OPTIONS,
      ...(this.wiring === 'portproxy' && { MSI_MONITOR_CONTAINER_OS: 'windows' }),
    };
  }

  async stopMonitor(): Promise<void> {
    await this.#monitor?.stop();
  }

  async killMonitor(): Promise<void> {
    await this.#monitor?.stop({ signalName: 'SIGKILL' });
  }

  /** Starts a proxy, on the proxy network if that exists unless a network is named. */
  async startProxy(options: Partial<ContainerOptions> = {}): Promise<string> {
    const { name = 'proxy' } = options;
    const exists = (await this.vm.engine.run(['network', 'inspect', PROXY_NETWORK])).exitCode === 0;
    const network = exists ? { network: PROXY_NETWORK } : {};
    await this.docker(...runArguments(proxyContainer({ image: PROXY_IMAGE, ...network, ...options, name })));
    return name;
  }

  /** Starts a labelled container that idles unless a command is given. */
  async startClient(options: StartContainerOptions): Promise<string> {
    return await this.startContainer(clientContainer({ image: BASE_IMAGE, command: IDLE, ...options }));
  }

  /** Starts a container without our label that idles unless a command is given. */
  async startContainer(options: StartContainerOptions): Promise<string> {
    return await this.docker(...runArguments({ image: BASE_IMAGE, command: IDLE, ...options }));
  }

  /** Starts a client of the image with the Azure SDKs for a language. */
  async startSdkClient(name: string, language: SdkLanguage, labels: Labels = {}): Promise<string> {
    return await this.startClient({ name, labels, image: `msi-proxy-lab/${language}-client` });
  }

  /**
   * Starts a labelled client in a simulated Windows container (test/windows-sim). NET_ADMIN is for the simulation, which
   * really adds addresses.
   */
  async startWindowsClient(options: StartContainerOptions): Promise<string> {
    return await this.startClient({
      image: WINDOWS_CLIENT_IMAGE.repository,
      ...options,
      extra: ['--cap-add', 'NET_ADMIN', ...(options.extra ?? [])],
    });
  }

  /** The same without our label. */
  async startUnlabelledSdkClient(name: string, language: SdkLanguage): Promise<string> {
    return await this.startContainer({ name, image: `msi-proxy-lab/${language}-client` });
  }

  /**
   * Pauses a container. The kernel's freezer gives up when processes begin and end while it works (seen with cgroups v1),
   * which a simulated Windows container always does: that says nothing of us, so it is tried until it succeeds.
   */
  async pause(container: string): Promise<void> {
    await waitUntil(async () => (await this.vm.engine.run(['pause', container])).exitCode === 0, {
      what: `${container} to be paused`,
    });
  }

  /** Removes containers with all that they hold. */
  async removeContainers(...names: string[]): Promise<void> {
    if (names.length > 0) await this.docker('rm', '--force', '--volumes', ...names);
  }

  /** Asks 169.254.169.254 with curl from inside a container. */
  async request(container: string, request: ImdsRequest): Promise<ImdsAnswer> {
    return await requestFrom(args => this.vm.engine.run(args), container, request);
  }

  /** The same without the engine's help, so that it works while the engine does not. */
  async requesterIn(container: string): Promise<(request: ImdsRequest) => Promise<ImdsAnswer>> {
    const pid = (await this.docker('inspect', '--format', '{{.State.Pid}}', container)).trim();
    return async request =>
      readCurlOutput(await runCommand(['nsenter', `--net=/proc/${pid}/ns/net`, ...curlArguments(request)]));
  }

  /** Asks for a token with an unmodified Azure SDK from inside a container of {@link startSdkClient}. */
  async sdkToken(container: string, request: SdkRequest): Promise<SdkResult> {
    return await sdkTokenFrom(args => this.vm.engine.docker(args), container, request);
  }

  async status(): Promise<MonitorStatus> {
    return JSON.parse(
      await this.vm.exec(['curl', '--silent', `http://${MONITOR_LISTEN}/api/status`]),
    ) as MonitorStatus;
  }

  /** Waits until the monitor's status says what is asked of it, and gives it back. */
  async untilStatus(
    what: string,
    holds: (status: MonitorStatus) => boolean,
    timeoutMillis = 90_000,
  ): Promise<MonitorStatus> {
    let last: MonitorStatus | undefined;
    try {
      return await waitUntil(
        async () => {
          last = await this.status();
          return holds(last) && last;
        },
        { what, timeoutMillis, intervalMillis: 50 },
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}; last status: ${JSON.stringify(last)}`, { cause: error });
    }
  }

  async untilServing(proxy = 'proxy'): Promise<MonitorStatus> {
    return await this.untilStatus(`${proxy} to serve`, ({ proxies }) =>
      proxies.some(({ name, state }) => name === proxy && state === 'serving'),
    );
  }

  async untilWired(...clients: string[]): Promise<MonitorStatus> {
    return await this.untilStatus(`${clients.join(', ')} to be wired`, status =>
      clients.every(client => status.clients.some(({ name, state }) => name === client && state === 'wired')),
    );
  }

  /** Waits until the container's own health check has succeeded. */
  async untilHealthy(container: string): Promise<void> {
    await waitUntil(
      async () =>
        (await this.docker('inspect', '--format', '{{.State.Health.Status}}', container)).trim() ===
        'healthy',
      { what: `${container} to be healthy`, timeoutMillis: 60_000, intervalMillis: 500 },
    );
  }

  async docker(...args: string[]): Promise<string> {
    return await this.vm.docker(...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vm.remove();
  }
}

function hasRead({ engine }: MonitorStatus): boolean {
  return engine.state === 'connected' && engine.lastSyncAt !== undefined;
}
