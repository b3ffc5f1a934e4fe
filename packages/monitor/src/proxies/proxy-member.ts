import { randomUUID } from 'node:crypto';
import {
  messageOf,
  type Clock,
  type Confirmed,
  type Logger,
  type Report,
  type Welcome,
} from '@msi-proxy/shared';
import type { CallerPublisher } from '../control/caller-publisher.ts';
import { ProxySession } from '../control/proxy-session.ts';
import type { ContainerDetails, EngineClient } from '../docker/index.ts';
import { backoffMillis } from '../reconcile/backoff.ts';
import type { ProxyTarget } from '../wiring/wiring-method.ts';
import type { Candidate } from './election.ts';
import type { ProxyNetwork } from './proxy-network.ts';

export interface ProxyMemberOptions {
  readonly engine: EngineClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly publisher: CallerPublisher;
  readonly monitorVersion: string;
  readonly network: () => ProxyNetwork | undefined;
  /** Whether the engine answers: silence of a proxy then means the proxy. */
  readonly engineAnswers: () => boolean;
  readonly confirm: (address: string) => Promise<Confirmed['result'] | undefined>;
  readonly onChange: () => void;
}

const CONTROL_ARGV = ['msi-proxy', 'control'];
// A proxy that has just started opens its socket within a tenth of a second.
const REOPEN_BACKOFF = { minMillis: 100, maxMillis: 5_000 };

/** One proxy container in one run of it: its session, and whether it can serve. */
export class ProxyMember implements Candidate {
  readonly containerId: string;
  readonly startedAt: string;
  readonly #options: ProxyMemberOptions;
  #container: ContainerDetails;
  #session: ProxySession | undefined;
  #welcome: Welcome | undefined;
  #routeAddress: string | undefined;
  #problem: string | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;
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
    const network = this.#options.network();
    const attached = this.#container.networks.find(({ networkId }) => networkId === network?.id);
    return attached === undefined || attached.address === '' ? undefined : attached.address;
  }

  get obstacle(): string | undefined {
    if (this.#container.state === 'paused') return 'it is paused';
    if (this.#session === undefined || this.#welcome === undefined)
      return this.#problem ?? 'no control session yet';
    if (this.address === undefined) return 'it is not on the network of the proxies yet';
    if (this.#routeAddress !== this.address) return this.#problem ?? 'its route to IMDS is not set yet';
    if (this.#session.isSilent && this.#options.engineAnswers()) return 'it does not answer';
    if (this.#session.report?.draining === true) return 'it is stopping';
    return undefined;
  }

  /** Whether it said itself that it is leaving, so that its connections may finish. */
  get isLeaving(): boolean {
    return this.#session?.report?.draining === true;
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
    this.#container = container;
    this.#wake?.();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#session?.end();
    this.#wake?.();
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
      await this.#pause(backoffMillis(failures, REOPEN_BACKOFF, this.#options.random));
    }
  }

  /** One session from its opening to its end. @returns whether it was opened */
  async #follow(): Promise<boolean> {
    const { engine, clock, logger, publisher, monitorVersion, confirm, onChange } = this.#options;
    await this.#joinNetwork();
    const stream = await engine.openExec(this.containerId, CONTROL_ARGV, { user: '0' });
    const sessionId = randomUUID();
    const session = new ProxySession({ stream, sessionId, monitorVersion, clock, logger, confirm, onChange });
    if (this.#isStopped()) session.end();
    const closed = session.closed.then(() => {
      publisher.remove(session);
      if (this.#session === session) this.#session = undefined;
      this.#routeAddress = undefined;
      this.#wake?.();
      onChange();
    });
    try {
      const welcome = await session.open();
      publisher.add(session);
      await session.acknowledged(publisher.revision);
      this.#welcome = welcome;
      this.#session = session;
      this.#problem = undefined;
      logger.info('Connected to a proxy', {
        containerId: this.containerId,
        proxyVersion: welcome.proxyVersion,
      });
      while (this.#isFollowing(session)) {
        await this.#settleRoute(session).catch((error: unknown) => this.#setProblem(messageOf(error)));
        onChange();
        await this.#changed();
      }
      return true;
    } finally {
      session.end();
      await closed;
    }
  }

  async #joinNetwork(): Promise<void> {
    const network = this.#options.network();
    if (network === undefined) throw new Error('the network of the proxies is not there yet');
    if (this.#container.networks.some(({ networkId }) => networkId === network.id)) return;
    await this.#options.engine.connectNetwork(network.id, this.containerId);
    this.#options.logger.info('Connected a proxy to the network of the proxies', {
      containerId: this.containerId,
    });
  }

  /** A proxy that is on other networks too may have its route through one of them. */
  async #settleRoute(session: ProxySession): Promise<void> {
    const network = this.#options.network();
    const { address } = this;
    if (network === undefined || address === undefined || this.#routeAddress === address) return;
    await session.setRoute({ address, gateway: network.bridge.gateway });
    this.#routeAddress = address;
  }

  #setProblem(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.logger.warn(`A proxy cannot serve: ${problem}`, { containerId: this.containerId });
    this.#options.onChange();
  }

  /** Settles when something about the container or the session has changed. */
  async #changed(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  async #pause(millis: number): Promise<void> {
    const timer = this.#options.clock.setTimer(() => this.#wake?.(), millis);
    await this.#changed();
    timer.cancel();
  }

  #isFollowing(session: ProxySession): boolean {
    return this.#session === session && !this.#stopped;
  }

  #isStopped(): boolean {
    return this.#stopped;
  }
}
