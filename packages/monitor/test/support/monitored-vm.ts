import {
  CLIENT_LABEL,
  PROXY_LABEL,
  silentLogger,
  systemClock,
  type ClientStatus,
  type Clock,
  type MonitorStatus,
  type ProxyStatus,
} from '@msi-proxy/shared';
import { MonitorMetrics } from '../../src/metrics/monitor-metrics.ts';
import { createEngineClient } from '../../src/docker/index.ts';
import { Reconciler, type ReconcilerOptions } from '../../src/reconcile/reconciler.ts';
import type { ProxyWatch, ProxyWatchOptions } from '../../src/proxies/proxy-watch.ts';
import { EventJournal } from '../../src/status/event-journal.ts';
import { monitorStatus } from '../../src/status/monitor-status.ts';
import { createWiringSelector } from '../../src/wiring/select.ts';
import { FakeEngine, type ContainerOptions, type FakeEngineOptions } from './fake-engine/index.ts';
import { FakeProxy } from './fake-proxy.ts';
import { FakeVmRules } from './fake-rules.ts';
import { FakeWiring } from './fake-wiring.ts';
import { until } from './until.ts';

const CONTROL_COMMANDS = ['msi-proxy control', 'cmd /d /s /c msi-proxy control'];
const WATCH_INTERVAL_MILLIS = 10;
const LONG_RESYNC_MILLIS = 3_600_000;

/** A fake engine, fake proxies, rules and wiring, and the real monitor between them. */
export class MonitoredVm implements AsyncDisposable {
  readonly engine: FakeEngine;
  readonly rules = new FakeVmRules();
  readonly wiring = new FakeWiring();
  readonly clock: Clock;
  /** How often proxies that are started from now on send a heartbeat, by the system's clock. */
  pulseMillis = 1_000;
  /** By the container's name. */
  readonly proxies = new Map<string, FakeProxy>();
  /** Instances of proxies whose server answers although their session is silent. */
  readonly answering = new Set<string>();
  /** Names of proxies whose server has died, while their container is not noticed to be gone. */
  readonly deadServers = new Set<string>();
  #reconciler: Reconciler | undefined;
  #journal: EventJournal;

  private constructor(engine: FakeEngine, clock: Clock) {
    this.engine = engine;
    this.clock = clock;
    this.#journal = new EventJournal(clock);
    engine.onExec = process => {
      const proxy = this.proxies.get(engine.state.container(process.containerId).name);
      if (proxy !== undefined && CONTROL_COMMANDS.includes(process.argv.join(' '))) proxy.accept(process);
      else process.exit(127);
    };
  }

  static async create(
    options: FakeEngineOptions & { readonly clock?: Clock; readonly running?: boolean } = {},
  ): Promise<MonitoredVm> {
    const { clock = systemClock, running = true } = options;
    const engine = running ? await FakeEngine.start(options) : await FakeEngine.prepare(options);
    return new MonitoredVm(engine, clock);
  }

  async startMonitor(options: Partial<ReconcilerOptions> = {}): Promise<void> {
    this.#journal = new EventJournal(this.clock);
    this.rules.beginAnew();
    this.#reconciler = new Reconciler({
      metrics: new MonitorMetrics(),
      engine: createEngineClient({ dockerHost: this.engine.host, logger: silentLogger }),
      rules: this.rules,
      selector: createWiringSelector({ methods: [this.wiring], setting: 'auto' }),
      clock: this.clock,
      logger: silentLogger,
      random: () => 0.5,
      journal: this.#journal,
      guard: 'enforce',
      redirect: true,
      watchProxy: options => this.#watchProxy(options),
      serverAnswers: ({ instanceId }) => Promise.resolve(this.answering.has(instanceId)),
      proxyNetworkName: 'msi-proxy-net',
      proxyNetworkDriver: 'bridge',
      resyncMillis: () => LONG_RESYNC_MILLIS,
      unlabelledSharers: 'refuse',
      containerOs: 'auto',
      version: '0.1.0',
      ...options,
    });
    await this.#reconciler.start();
  }

  async stopMonitor(): Promise<void> {
    await this.#reconciler?.stop();
    this.#reconciler = undefined;
  }

  /** Starts a proxy container. */
  runProxy(name = 'proxy', options: Partial<ContainerOptions> = {}): FakeProxy {
    const proxy = new FakeProxy(`instance-of-${name}`, { pulseMillis: this.pulseMillis });
    this.proxies.set(name, proxy);
    this.engine.run({ name, labels: { [PROXY_LABEL]: '' }, ...options });
    return proxy;
  }

  /** Starts a labelled container. */
  runClient(name: string, { labels = {}, ...options }: Partial<ContainerOptions> = {}): string {
    return this.engine.run({ name, labels: { [CLIENT_LABEL]: '', ...labels }, ...options });
  }

  get status(): MonitorStatus {
    if (this.#reconciler === undefined) throw new Error('no monitor runs');
    return monitorStatus({
      reconciler: this.#reconciler,
      journal: this.#journal,
      version: '0.1.0',
      startedAtMillis: 0,
    });
  }

  /** As whoever looks at the status does. */
  async refreshTokens(): Promise<void> {
    await this.#reconciler?.proxies.refreshTokens();
  }

  client(name: string): ClientStatus | undefined {
    return this.#reconciler === undefined
      ? undefined
      : this.status.clients.find(client => client.name === name);
  }

  proxyStatus(name: string): ProxyStatus | undefined {
    return this.#reconciler === undefined
      ? undefined
      : this.status.proxies.find(proxy => proxy.name === name);
  }

  addressOf(name: string, network = 'bridge'): string {
    const { endpoints } = this.engine.state.container(name);
    return endpoints.get(this.engine.state.network(network).id) ?? '';
  }

  async untilServing(name: string): Promise<void> {
    await until(`${name} serves`, () => this.proxyStatus(name)?.state === 'serving').catch(
      (error: unknown) => {
        throw new Error(JSON.stringify(this.status.proxies), { cause: error });
      },
    );
  }

  async untilWired(name: string): Promise<void> {
    await until(`${name} is wired`, () => this.client(name)?.state === 'wired').catch((error: unknown) => {
      throw new Error(JSON.stringify(this.client(name) ?? this.status), { cause: error });
    });
  }

  #watchProxy({ endpoint, onChange }: ProxyWatchOptions): ProxyWatch {
    const look = () => (this.#isServerUp(endpoint.address) ? 'present' : 'gone');
    let state: ProxyWatch['state'] = look();
    const timer = setInterval(() => {
      const before = state;
      state = look();
      if (state !== before) onChange();
    }, WATCH_INTERVAL_MILLIS);
    timer.unref();
    return {
      get state() {
        return state;
      },
      stop: () => clearInterval(timer),
    };
  }

  /** Whether a container that runs has the address on the proxies' network, whatever the engine is doing. */
  #isServerUp(address: string): boolean {
    const { state } = this.engine;
    const network = state.findNetwork('msi-proxy-net');
    if (network === undefined) return false;
    const isDead = [...this.deadServers].some(name => this.addressOf(name, network.name) === address);
    return !isDead && [...state.endpointsOf(network).values()].includes(address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopMonitor();
    for (const proxy of this.proxies.values()) proxy.endSession();
    await this.engine[Symbol.asyncDispose]();
    const complaints = [...this.proxies.values()].flatMap(proxy => proxy.complaints);
    if (complaints.length > 0) throw new Error(`The proxies complain: ${complaints.join('; ')}`);
  }
}
