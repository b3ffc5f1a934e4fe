import {
  codeOf,
  hasProxyLabel,
  messageOf,
  printable,
  type Caller,
  type Clock,
  type Confirmed,
  type EngineStatus,
  type Logger,
  type StoppedSource,
  type Timer,
} from '@msi-proxy/shared';
import { CallerPublisher } from '../control/caller-publisher.ts';
import type { ContainerDetails, EngineClient, EngineEvent } from '../docker/index.ts';
import type { RuleFollower } from '../guard/rule-follower.ts';
import type { VmRules } from '../guard/vm-rules.ts';
import type { MonitorMetrics, QueueDepth } from '../metrics/monitor-metrics.ts';
import { ProxyManager, type LeftProxies } from '../proxies/proxy-manager.ts';
import type { ProxyMember, ProxyMemberOptions } from '../proxies/proxy-member.ts';
import { ensureProxyNetwork, type ProxyNetwork, type ProxyNetworkDriver } from '../proxies/proxy-network.ts';
import type { WatchProxy } from '../proxies/proxy-watch.ts';
import type { StandIn } from '../stand-in/stand-in.ts';
import type { EventJournal } from '../status/event-journal.ts';
import type { Attachment } from '../wiring/attach/attachment.ts';
import { LINK_BRIDGE } from '../wiring/attach/link-network.ts';
import type { WiringSelector } from '../wiring/select.ts';
import { AddressConfirmation } from './address-confirmation.ts';
import { ClientWiring } from './client-wiring.ts';
import { desiredState, type DesiredState, type DesiredStateOptions } from './desired-state.ts';
import { EventFollower, type EngineState } from './event-follower.ts';
import { Inventory, isRunning } from './inventory.ts';
import { KernelWitness, type KernelWitnessOptions } from './kernel-witness.ts';
import { RuleKeeper } from './rule-keeper.ts';
import { WorkQueue } from './work-queue.ts';

export interface ReconcilerOptions extends DesiredStateOptions {
  readonly engine: EngineClient;
  readonly rules: VmRules;
  readonly ruleFollower?: Pick<RuleFollower, 'start' | 'stop'>;
  readonly selector: WiringSelector;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly journal: EventJournal;
  readonly metrics: Pick<MonitorMetrics, 'countWiring' | 'countDockerEvent' | 'countReconnect'>;
  readonly guard: 'enforce' | 'audit' | 'off';
  /** Whether the VM's rules redirect (`host`), or only guard. */
  readonly redirect: boolean;
  readonly watchProxy: WatchProxy;
  /** See {@link ProxyMemberOptions.serverAnswers}. */
  readonly serverAnswers: ProxyMemberOptions['serverAnswers'];
  /** Where clients are put on a network with the proxy (`attach`). */
  readonly attachment?: Pick<Attachment, 'prepare' | 'setProxy' | 'containerCreated'>;
  /** Serves clients while no proxy does, if they are redirected, and answers what proxies ask past the engine. */
  readonly standIn?: Pick<StandIn, 'listen' | 'setProxy' | 'stop' | 'witnessKey'>;
  /** What the VM's kernel shows; absent where this process does not see it. */
  readonly kernel?: Pick<KernelWitnessOptions, 'links' | 'readText'>;
  readonly proxyNetworkName: string;
  readonly proxyNetworkDriver: ProxyNetworkDriver;
  readonly proxySubnet?: string;
  readonly resyncMillis: () => number;
  readonly version: string;
}

/** Events after which a container may be another one than before. */
const CONTAINER_ACTIONS = new Set([
  'start',
  'die',
  'destroy',
  'pause',
  'unpause',
  'rename',
  'update',
  'restart',
  'stop',
]);

const INSPECT_CONCURRENCY = 8;
const RETRY = { minMillis: 200, maxMillis: 10_000 };
const RESYNC_JITTER = 0.1;

/**
 * Makes the world match what Docker's labels say. Level-triggered: an event only names a container that is worth a look;
 * what should be is computed from what is read, all of it, each time. Nothing is remembered that could not be read again,
 * so a monitor may be killed anywhere.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #inventory: Inventory;
  readonly #publisher = new CallerPublisher();
  readonly #proxies: ProxyManager;
  readonly #wiring: ClientWiring;
  readonly #rules: RuleKeeper;
  readonly #follower: EventFollower;
  readonly #inspections: WorkQueue;
  readonly #confirmation: AddressConfirmation;
  #network: ProxyNetwork | undefined;
  #desired: DesiredState = { proxies: [], clients: [], callers: new Map(), strays: [] };
  #resyncTimer: Timer | undefined;
  #resyncing: Promise<void> = Promise.resolve();
  #engineSinceMillis: number;
  #engineProblem: string | undefined;
  #standInProblem: string | undefined;
  #lastSyncMillis: number | undefined;
  #isGuarded = false;
  /** Containers of which was said that they cannot be read. */
  readonly #unreadable = new Set<string>();
  #stopped = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    const { engine, clock, logger, random, rules, guard, redirect, selector, version } = options;
    this.#engineSinceMillis = clock.wallMillis();
    this.#inventory = new Inventory(engine);
    this.#rules = new RuleKeeper({
      rules,
      clock,
      logger,
      random,
      guard,
      redirect,
      ...(options.ruleFollower !== undefined && { follower: options.ruleFollower }),
      ...(options.attachment !== undefined && { linkBridge: LINK_BRIDGE }),
      onStopped: source => this.#noteStopped(source),
      onRepair: differences =>
        this.#note('The packet rules of the VM had changed and were mended', undefined, {
          differences: differences.map(printable),
        }),
    });
    this.#confirmation = new AddressConfirmation({
      engine,
      clock,
      logger,
      caller: address => this.#publisher.caller(address),
      readContainer: async id => {
        await this.#inventory.readContainer(id, { urgent: true });
        this.#recompute();
      },
      engineIsBusy: () => this.#inventory.isBusy,
      eventsHandled: async () => await this.#inspections.caughtUp(),
      readNew: async () => {
        await this.#inventory.readNew();
        this.#recompute();
        this.#tellOfUnreadable();
      },
      ...(options.kernel !== undefined && {
        witness: new KernelWitness({
          ...options.kernel,
          bridge: () => this.#network?.bridge.interfaceName,
          isOnBridge: ({ containerId, address }) => this.#inventory.isOnBridge(containerId, address),
          pid: ({ containerId }) => this.#inventory.container(containerId)?.pid,
        }),
      }),
    });
    this.#proxies = new ProxyManager({
      engine,
      clock,
      logger,
      random,
      publisher: this.#publisher,
      monitorVersion: version,
      network: () => this.#network,
      givesImdsAddress: options.attachment !== undefined,
      engineAnswers: async () => await this.#follower.engineAnswers(),
      watchProxy: options.watchProxy,
      serverAnswers: options.serverAnswers,
      confirm: address => this.confirm(address),
      onServingChange: (serving, left) => this.#servingChanged(serving, left),
      onNoneYet: mayAnswer => {
        // Proxies that are not read yet are not gone.
        if (this.#lastSyncMillis !== undefined) void this.#rules.leaveInheritedUnless(mayAnswer);
      },
    });
    this.#wiring = new ClientWiring({
      engine,
      clock,
      logger,
      random,
      selector,
      serving: () => this.#proxies.serving,
      policyKnown: async serving => {
        await serving.session?.acknowledged(this.#publisher.revision);
      },
      onWired: ({ containerId, name }, method, wiredAfterMillis) => {
        if (wiredAfterMillis !== undefined) options.metrics.countWiring(wiredAfterMillis);
        const took = wiredAfterMillis === undefined ? '' : ` ${wiredAfterMillis} ms after its start`;
        this.#note(`Client "${printable(name)}" is wired by ${method}${took}`, containerId, {
          method,
          wiredAfterMillis,
        });
      },
    });
    this.#inspections = new WorkQueue({
      clock,
      concurrency: INSPECT_CONCURRENCY,
      backoff: RETRY,
      random,
      work: id => this.#inspect(id),
      onError: (id, err) =>
        logger.debug('A container could not be read; it is tried again', { err, containerId: id }),
    });
    this.#follower = new EventFollower({
      engine,
      clock,
      logger,
      random,
      onSubscribed: () => this.#sync(() => this.#inventory.readAll({ mayMiss: true })),
      onEvent: event => this.#handleEvent(event),
      onReconnect: reason => options.metrics.countReconnect(reason),
      onStateChange: (state, problem) => this.#engineChanged(state, problem),
    });
  }

  get desired(): DesiredState {
    return this.#desired;
  }

  get proxies(): ProxyManager {
    return this.#proxies;
  }

  get wiring(): ClientWiring {
    return this.#wiring;
  }

  get rules(): RuleKeeper {
    return this.#rules;
  }

  get queueDepth(): QueueDepth {
    return { inspect: this.#inspections.size, wire: this.#wiring.queueSize };
  }

  get engineStatus(): EngineStatus {
    const { version } = this.#follower;
    return {
      state: this.#follower.state,
      since: new Date(this.#engineSinceMillis).toISOString(),
      ...version,
      ...(this.#engineProblem !== undefined && { lastError: this.#engineProblem }),
      ...(this.#lastSyncMillis !== undefined && { lastSyncAt: new Date(this.#lastSyncMillis).toISOString() }),
    };
  }

  /**
   * No container is wired before the direct way is shut. Everything is read meanwhile: clients of an earlier monitor are
   * wired already, and wait for this one to confirm them.
   */
  async start(): Promise<void> {
    const guarded = this.#rules.start();
    this.#follower.start();
    this.#scheduleResync();
    await guarded;
    this.#isGuarded = true;
    // Also for what may be known by now of the proxy that the rules were found to lead to.
    this.#proxies.elect();
    this.#wiring.update(this.#desired.clients);
  }

  /** Leaves all wiring and all rules in place. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#resyncTimer?.cancel();
    await this.#follower.stop();
    await this.#resyncing;
    await this.#inspections.stop();
    await this.#wiring.stop();
    await this.#proxies.stop();
    await this.#options.standIn?.stop();
    await this.#rules.stop();
  }

  async confirm(address: string): Promise<Confirmed['result'] | undefined> {
    return await this.#confirmation.confirm(address);
  }

  /** Who has the address for certain, without asking the engine; undefined when that cannot be said. */
  unchanged(address: string): Caller | undefined {
    return this.#confirmation.unchanged(address);
  }

  /** @param read gives the ids of the containers that it has read */
  async #sync(read: () => Promise<ReadonlySet<string>>): Promise<void> {
    const { engine, proxyNetworkName, proxyNetworkDriver, proxySubnet, clock, attachment } = this.#options;
    if (this.#lastSyncMillis === undefined) await this.#meetProxies();
    this.#network = await ensureProxyNetwork({
      engine,
      name: proxyNetworkName,
      driver: proxyNetworkDriver,
      ...(proxySubnet !== undefined && { subnet: proxySubnet }),
    });
    // A stand-in that listens again keeps the process from ending.
    if (this.#isStopped()) return;
    await this.#listenAsStandIn(this.#network);
    await attachment?.prepare();
    if (this.#isStopped()) return;
    const noteReading = this.#confirmation.beginReading(this.#desired.callers);
    const ids = await read();
    if (this.#isStopped()) return;
    this.#lastSyncMillis = clock.wallMillis();
    this.#recompute({ isWhole: true });
    noteReading(ids);
    this.#tellOfUnreadable();
    this.#rules.check();
    this.#wiring.refreshAll();
  }

  /**
   * A session takes longer to open than all containers to be read, and until there is one nobody is confirmed. Nobody waits
   * for a proxy about which the engine does not tell: it is read again with all others.
   */
  async #meetProxies(): Promise<void> {
    const { engine } = this.#options;
    const met: ContainerDetails[] = [];
    const meet = (container: ContainerDetails | undefined): void => {
      if (container === undefined || !isRunning(container) || this.#lastSyncMillis !== undefined) return;
      met.push(container);
      this.#proxies.update(met);
    };
    for (const { id, labels } of await engine.listContainers()) {
      if (hasProxyLabel(labels)) void engine.inspectContainer(id).then(meet, () => undefined);
    }
  }

  #handleEvent(event: EngineEvent): void {
    const { type, action, actorId, attributes } = event;
    this.#options.metrics.countDockerEvent(type, action);
    if (type === 'container' && action === 'create') void this.#options.attachment?.containerCreated(event);
    if (type === 'container' && CONTAINER_ACTIONS.has(action)) this.#inspections.add(actorId);
    if (type !== 'network') return;
    // Docker connects before it starts: this is the earliest sign of a new container.
    const containerId = attributes['container'];
    if (containerId !== undefined) this.#inspections.add(containerId);
    this.#rules.check();
  }

  async #inspect(id: string): Promise<void> {
    await this.#inventory.readContainer(id);
    this.#recompute();
  }

  #recompute({ isWhole = false } = {}): void {
    // What is not read yet is not gone: the proxy that serves must not lose its clients because one of them comes or goes
    // while a monitor starts.
    if (this.#lastSyncMillis === undefined) return;
    const before = this.#desired;
    this.#desired = desiredState(this.#inventory.snapshot, this.#options);
    // The proxy must know who may have what before a container reaches it.
    if (isWhole) this.#publisher.publishAll(this.#desired.callers);
    else this.#publisher.publish(this.#desired.callers);
    this.#rules.setCallers(this.#desired.callers);
    this.#admitProxies();
    this.#proxies.update(this.#desired.proxies);
    if (this.#isGuarded) this.#wiring.update(this.#desired.clients);
    this.#journalChanges(before);
    this.#tellOfStrays(before.strays);
  }

  /** Lets exactly the proxies through to IMDS, among all that may be on their network. */
  #admitProxies(): void {
    if (this.#network === undefined) return;
    const { id, bridge } = this.#network;
    const attached = this.#desired.proxies.flatMap(({ networks }) =>
      networks.filter(({ networkId }) => networkId === id),
    );
    this.#rules.setProxies(
      bridge,
      attached.map(({ address }) => address).filter(address => address !== ''),
    );
  }

  /** Settles when new connections go to it. */
  async #servingChanged(
    serving: ProxyMember | undefined,
    { mayStillAnswer, stillAnswering }: LeftProxies,
  ): Promise<void> {
    const { standIn, attachment } = this.#options;
    standIn?.setProxy(undefined);
    const target = serving?.target;
    const switched = Promise.all([
      this.#rules.switchTarget(target, stillAnswering),
      serving === undefined ? undefined : attachment?.setProxy(serving.containerId),
      this.#clientsFollow(serving, { flushFlows: !mayStillAnswer }),
    ]);
    if (serving === undefined)
      this.#note('No proxy is ready to serve; clients wait', undefined, {
        proxies: this.#proxies.status().map(({ name, reason }) => ({ name: printable(name), reason })),
      });
    else
      this.#note(`Proxy "${printable(serving.container.name)}" serves`, serving.containerId, {
        address: serving.address,
      });
    await switched;
    // What is held goes to the proxy that new connections go to, unless that has changed again.
    if (this.#proxies.serving === serving) standIn?.setProxy(target);
  }

  async #clientsFollow(
    serving: ProxyMember | undefined,
    options: { readonly flushFlows: boolean },
  ): Promise<void> {
    try {
      if (serving !== undefined) await this.#wiring.follow(serving, options);
    } catch (err) {
      this.#options.logger.debug('Clients are sent to the next proxy one by one', { err });
    } finally {
      this.#wiring.refreshAll();
    }
  }

  async #listenAsStandIn({ bridge }: ProxyNetwork): Promise<void> {
    const { standIn } = this.#options;
    if (standIn === undefined) return;
    try {
      const endpoint = await standIn.listen(bridge.gateway);
      this.#rules.setStandIn(endpoint);
      this.#publisher.setWitness({ type: 'witness', ...endpoint, key: standIn.witnessKey });
      this.#standInProblem = undefined;
    } catch (err) {
      this.#rules.setStandIn(undefined);
      const problem = messageOf(err);
      if (problem !== this.#standInProblem)
        this.#options.logger.warn(
          'There is no stand-in: without a proxy, requests of clients wait unanswered',
          {
            err,
          },
        );
      this.#standInProblem = problem;
    }
  }

  #journalChanges(before: DesiredState): void {
    const known = new Set(before.clients.map(({ container }) => runOf(container)));
    for (const { container, plan } of this.#desired.clients) {
      if (known.delete(runOf(container))) continue;
      if (plan.kind === 'refuse')
        this.#note(`Client "${printable(container.name)}" is refused: ${plan.reason}`, container.id);
      else this.#note(`Client "${printable(container.name)}" appeared`, container.id);
    }
    for (const { container } of before.clients) {
      if (known.has(runOf(container)))
        this.#note(`Client "${printable(container.name)}" is gone`, container.id);
    }
  }

  #tellOfStrays(before: DesiredState['strays']): void {
    const known = new Set(before.map(runOf));
    for (const stray of this.#desired.strays) {
      if (known.has(runOf(stray))) continue;
      this.#options.logger.info(
        'A container has joined the network of one that is not found among those that run, so it gets nothing',
        { containerId: stray.id, container: stray.name, networkMode: printable(stray.networkMode) },
      );
    }
  }

  /** Those about which no answer comes are read again with all others; after an error it is worth asking again soon. */
  #tellOfUnreadable(): void {
    const { unreadable, snapshot } = this.#inventory;
    for (const id of this.#unreadable) if (!unreadable.has(id)) this.#unreadable.delete(id);
    for (const [id, err] of unreadable) {
      if (codeOf(err) !== 'MSI_ENGINE_UNRESPONSIVE') this.#inspections.add(id);
      if (this.#unreadable.has(id)) continue;
      this.#unreadable.add(id);
      this.#options.logger.warn(
        snapshot.listedOnly?.has(id) === true
          ? 'The engine does not tell about a container, which gets nothing until it does'
          : 'The engine does not tell about a container any more; it counts as it was',
        { err, containerId: id, container: this.#inventory.container(id)?.name },
      );
    }
  }

  #engineChanged(state: EngineState, problem: string | undefined): void {
    this.#engineSinceMillis = this.#options.clock.wallMillis();
    this.#engineProblem = problem;
    this.#note(
      state === 'connected' ? 'The Docker engine answers' : `The Docker engine: ${problem ?? state}`,
    );
    this.#proxies.elect();
  }

  #noteStopped({ address, name, containerId, attempts }: StoppedSource): void {
    const what = this.#options.guard === 'audit' ? 'would have stopped' : 'stopped';
    const whom = name === undefined ? 'somebody who is no container known here' : `container "${name}"`;
    this.#note(`The guard ${what} ${whom} at ${address} on a way past the proxy`, containerId, { attempts });
  }

  #note(message: string, containerId?: string, fields: Record<string, unknown> = {}): void {
    this.#options.journal.add(message, containerId);
    this.#options.logger.info(message, { ...(containerId !== undefined && { containerId }), ...fields });
  }

  /** A function, because the compiler takes the property for unchanged across an await. */
  #isStopped(): boolean {
    return this.#stopped;
  }

  /** The time between two resyncs is another one. */
  rescheduleResync(): void {
    if (!this.#stopped) this.#scheduleResync();
  }

  #scheduleResync(): void {
    this.#resyncTimer?.cancel();
    const { clock, resyncMillis, random } = this.#options;
    const delayMillis = resyncMillis() * (1 + RESYNC_JITTER * (2 * random() - 1));
    this.#resyncTimer = clock.setTimer(() => {
      this.#resyncing = this.#resyncing
        .then(() => this.#resync())
        .finally(() => {
          if (!this.#stopped) this.#scheduleResync();
        });
    }, delayMillis);
  }

  async #resync(): Promise<void> {
    try {
      if (this.#follower.state === 'connected') await this.#sync(() => this.#inventory.readChanged());
      else this.#rules.check();
    } catch (err) {
      this.#options.logger.warn('Reading everything anew failed', { err });
    }
  }
}

function runOf({ id, startedAt }: ContainerDetails): string {
  return `${id} ${startedAt}`;
}
