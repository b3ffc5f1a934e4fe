import { randomUUID } from 'node:crypto';
import {
  messageOf,
  pause,
  type Clock,
  type Confirmed,
  type Logger,
  type Report,
  type Welcome,
} from '@msi-proxy/shared';
import type { CallerPublisher } from '../control/caller-publisher.ts';
import { ProxySession } from '../control/proxy-session.ts';
import type { ContainerDetails, ContainerNetwork, EngineClient } from '../docker/index.ts';
import { backoffMillis } from '../reconcile/backoff.ts';
import type { ProxyEndpoint } from '../wiring/proxy-endpoint.ts';
import type { ProxyTarget } from '../wiring/wiring-method.ts';
import { ChangeSignal } from './change-signal.ts';
import type { Candidate } from './election.ts';
import type { ProxyNetwork } from './proxy-network.ts';
import type { ProxyWatch, WatchProxy } from './proxy-watch.ts';

export interface ProxyMemberOptions {
  readonly engine: EngineClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly publisher: CallerPublisher;
  readonly monitorVersion: string;
  readonly network: () => ProxyNetwork | undefined;
  /** Whether proxies may be given 169.254.169.254 as an address of their own. */
  readonly givesImdsAddress: boolean;
  /** Asks the engine now. Sessions run through it: if it answers, the silence of a proxy is the proxy's own. */
  readonly engineAnswers: () => Promise<boolean>;
  readonly watchProxy: WatchProxy;
  /** Asks the proxy's server something small, past the engine. */
  readonly serverAnswers: (target: ProxyTarget) => Promise<boolean>;
  readonly confirm: (address: string) => Promise<Confirmed['result'] | undefined>;
  readonly onChange: () => void;
}

/** As whom and how the proxy's own program is started in its container. */
const CONTROL = {
  linux: { user: '0', argv: ['msi-proxy', 'control'] },
  // The command is a .cmd file there, which only the command interpreter starts.
  windows: { user: 'ContainerAdministrator', argv: ['cmd', '/d', '/s', '/c', 'msi-proxy control'] },
} as const;
// A proxy that has just started opens its socket within a tenth of a second.
const REOPEN_BACKOFF = { minMillis: 100, maxMillis: 5_000 };

const SETTLE_RETRY_MILLIS = 2_000;

/**
 * An engine that goes on after a hang answers before the proxy's heartbeats have come through it, and on a busy VM it takes
 * seconds to pass them on: a proxy hangs only if it is still silent when the engine has answered twice, this far apart,
 * and its own server has not.
 */
const SILENCE_CHECK_MILLIS = 1_500;
const ANSWERS_THAT_PROVE = 2;

/** One proxy container in one run of it: its session, and whether it can serve. */
export class ProxyMember implements Candidate {
  readonly containerId: string;
  readonly startedAt: string;
  readonly #options: ProxyMemberOptions;
  #container: ContainerDetails;
  #session: ProxySession | undefined;
  #welcome: Welcome | undefined;
  /** The {@link #interface} by which its route leads. */
  #routeInterface: string | undefined;
  #problem: string | undefined;
  #hangs = false;
  #watchesSilence = false;
  #watch: { readonly endpoint: ProxyEndpoint; readonly connection: ProxyWatch } | undefined;
  readonly #stopping = new AbortController();
  readonly #stopped = Promise.withResolvers<undefined>();
  readonly #changes = new ChangeSignal();
  #running: Promise<void> | undefined;

  constructor(container: ContainerDetails, options: ProxyMemberOptions) {
    this.#options = options;
    this.#container = container;
    this.containerId = container.id;
    this.startedAt = container.startedAt;
  }

  get container(): ContainerDetails {
    return this.#container;
  }

  get session(): ProxySession | undefined {
    return this.#session;
  }

  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  get report(): Report | undefined {
    return this.#session?.report;
  }

  /** Its address on the proxies' network. */
  get address(): string | undefined {
    return this.#attachment?.address;
  }

  get #attachment(): ContainerNetwork | undefined {
    const network = this.#options.network();
    return this.#container.networks.find(
      ({ networkId, address }) => networkId === network?.id && address !== '',
    );
  }

  /** Its interface on the proxies' network: another one, without routes, each time that it is connected there. */
  get #interface(): string | undefined {
    const attachment = this.#attachment;
    return attachment && `${attachment.address} ${attachment.endpointId ?? ''}`;
  }

  get obstacle(): string | undefined {
    if (this.#container.state === 'paused') return 'it is paused';
    if (this.#session === undefined || this.#welcome === undefined)
      return this.#problem ?? 'no control session yet';
    if (this.address === undefined) return 'it is not on the network of the proxies yet';
    if (!this.reachesImds) return this.#problem ?? 'its route to IMDS is not set yet';
    if (this.#watch?.connection.state === 'gone') return 'it accepts no connections';
    if (this.#hangs) return 'it does not answer';
    if (this.#session.report?.draining === true) return 'it is stopping';
    return undefined;
  }

  /** Whether it said itself that it is leaving, so that its connections may finish. */
  get isLeaving(): boolean {
    return this.#session?.report?.draining === true;
  }

  /** Whether its route leads through the proxies' network, the only one from which anybody is let through to IMDS. */
  get reachesImds(): boolean {
    return this.#routeInterface !== undefined && this.#routeInterface === this.#interface;
  }

  /** Whether those who have asked it may still be answered, though it is left. */
  get mayStillAnswer(): boolean {
    // Nothing is known of one that this monitor has only just found, except that it runs.
    if (this.#welcome === undefined) return this.#container.state !== 'paused';
    // Where the session has ended, so may have the process, a little before its connections tell.
    return this.isLeaving || (this.#session !== undefined && this.#isServerThere);
  }

  get isReachable(): boolean {
    return this.#isServerThere && (this.#session === undefined || this.#routeInterface === undefined);
  }

  get #isServerThere(): boolean {
    // The kernel accepts for a process that is paused, too.
    return this.#container.state !== 'paused' && this.#watch?.connection.state === 'present';
  }

  get target(): ProxyTarget | undefined {
    const { address } = this;
    if (address === undefined || this.#welcome === undefined) return undefined;
    const { instanceId, port } = this.#welcome;
    const named = this.#container.networks.filter(network => network.address !== '');
    const addressesByNetwork = Object.fromEntries(named.map(network => [network.name, network.address]));
    return { containerId: this.containerId, instanceId, port, address, addressesByNetwork };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** The container was read again: its networks may have changed. */
  update(container: ContainerDetails): void {
    const isSame = JSON.stringify(container) === JSON.stringify(this.#container);
    this.#container = container;
    if (!isSame) this.#changes.notify();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#stopped.resolve(undefined);
    this.#session?.end();
    this.#watch?.connection.stop();
    this.#changes.notify();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#isStopped()) {
      const opened = await this.#follow().catch((error: unknown) => {
        this.#setProblem(messageOf(error));
        return false;
      });
      if (this.#isStopped()) return;
      failures = opened ? 0 : failures + 1;
      await this.#changedOrAfter(backoffMillis(failures, REOPEN_BACKOFF, this.#options.random));
    }
  }

  /** One session from its opening to its end. @returns whether it was opened */
  async #follow(): Promise<boolean> {
    const { engine, clock, logger, publisher, monitorVersion, confirm } = this.#options;
    const { argv, user } = CONTROL[this.#container.platform];
    // Meanwhile, because an engine takes its time for either. What fails is tried again when the session is open.
    const joined = this.#joinNetwork().catch(() => undefined);
    const stream = await engine.openExec(this.containerId, argv, { user });
    const sessionId = randomUUID();
    const onChange = () => this.#sessionChanged(session);
    const session: ProxySession = new ProxySession({
      stream,
      sessionId,
      monitorVersion,
      clock,
      logger: logger.child({ containerId: this.containerId }),
      confirm,
      onChange,
    });
    const closed = session.closed.then(() => {
      publisher.remove(session);
      if (this.#session === session) this.#loseSession();
    });
    try {
      // A monitor that starts reads the containers meanwhile.
      await Promise.race([publisher.known, session.closed, this.#stopped.promise]);
      if (this.#isStopped()) session.end();
      const welcome = await session.open();
      publisher.add(session);
      await session.acknowledged(publisher.revision);
      await joined;
      this.#welcome = welcome;
      this.#session = session;
      this.#problem = undefined;
      logger.info('Connected to a proxy', {
        containerId: this.containerId,
        proxyVersion: welcome.proxyVersion,
      });
      await this.#keepSettled(session);
      return true;
    } finally {
      session.end();
      await closed;
    }
  }

  /** Keeps the proxy on its network, with its route through that, until the session is over. */
  async #keepSettled(session: ProxySession): Promise<void> {
    while (!session.isOver && !this.#isStopped()) {
      try {
        await this.#joinNetwork();
        await this.#settleRoute(session);
        this.#problem = undefined;
        this.#watchServer();
        this.#options.onChange();
        await this.#changes.next();
      } catch (error) {
        this.#setProblem(messageOf(error));
        await this.#changedOrAfter(SETTLE_RETRY_MILLIS);
      }
    }
  }

  async #joinNetwork(): Promise<void> {
    const { engine, logger } = this.#options;
    const network = this.#options.network();
    if (network === undefined) throw new Error('the network of the proxies is not there yet');
    if (this.#container.networks.some(({ networkId }) => networkId === network.id)) return;
    await engine.connectNetwork(network.id, this.containerId);
    logger.info('Connected a proxy to the network of the proxies', { containerId: this.containerId });
    this.#container = (await engine.inspectContainer(this.containerId)) ?? this.#container;
  }

  /** A proxy that is on other networks too may have its route through one of them. */
  async #settleRoute(session: ProxySession): Promise<void> {
    const network = this.#options.network();
    const { address } = this;
    const leadsBy = this.#interface;
    if (network === undefined || address === undefined || this.#routeInterface === leadsBy) return;
    const { givesImdsAddress } = this.#options;
    await session.setRoute({
      address,
      gateway: network.bridge.gateway,
      ...(givesImdsAddress && { holdsImdsAddress: true }),
    });
    this.#routeInterface = leadsBy;
  }

  #sessionChanged(session: ProxySession): void {
    if (session !== this.#session) return;
    if (session.isSilent) void this.#watchSilence(session);
    this.#options.onChange();
  }

  /** Finds out whose the silence is. */
  async #watchSilence(session: ProxySession): Promise<void> {
    if (this.#watchesSilence) return;
    this.#watchesSilence = true;
    const { engineAnswers, clock } = this.#options;
    const isSilent = () => session.isSilent && !session.isOver && !this.#isStopped();
    let answers = 0;
    while (isSilent()) {
      const [engine, server] = await Promise.all([engineAnswers(), this.#serverAnswers()]);
      answers = engine && !server ? answers + 1 : 0;
      this.#setHangs(answers >= ANSWERS_THAT_PROVE && isSilent());
      await pause(clock, SILENCE_CHECK_MILLIS, this.#stopping.signal);
    }
    this.#watchesSilence = false;
    this.#setHangs(false);
  }

  /** Where the monitor has no way to it but the engine's, nothing but its silence tells. */
  async #serverAnswers(): Promise<boolean> {
    const { target } = this;
    if (target === undefined || this.#watch?.connection.state !== 'present') return false;
    return await this.#options.serverAnswers(target);
  }

  #setHangs(hangs: boolean): void {
    if (hangs === this.#hangs) return;
    this.#hangs = hangs;
    this.#options.onChange();
  }

  #loseSession(): void {
    this.#session = undefined;
    this.#routeInterface = undefined;
    this.#changes.notify();
    this.#options.onChange();
  }

  /** From when it can serve, for as long as it runs: also while an engine that restarts takes its session along. */
  #watchServer(): void {
    const { target } = this;
    const watched = this.#watch?.endpoint;
    if (target === undefined || this.#isStopped()) return;
    if (watched?.address === target.address && watched.port === target.port) return;
    this.#watch?.connection.stop();
    const { watchProxy, clock, onChange } = this.#options;
    this.#watch = { endpoint: target, connection: watchProxy({ endpoint: target, clock, onChange }) };
  }

  #setProblem(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.logger.warn(`A proxy cannot serve: ${problem}`, { containerId: this.containerId });
    this.#options.onChange();
  }

  async #changedOrAfter(millis: number): Promise<void> {
    const timer = this.#options.clock.setTimer(() => this.#changes.notify(), millis);
    await this.#changes.next();
    timer.cancel();
  }

  /** A function, because the compiler takes a property for unchanged across an await. */
  #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }
}
