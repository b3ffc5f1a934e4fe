import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import {
  CONTROL_PROTOCOL,
  MAX_GIVEN_TOKENS,
  messageOf,
  MsiProxyError,
  type Clock,
  type Confirmed,
  type GivenToken,
  type Hello,
  type Logger,
  type Report,
  type Role,
  type Timer,
  type Witness,
} from '@msi-proxy/shared';
import type { ProxyMetricNumbers } from '@msi-proxy/shared/metrics';
import type { ConfirmationSource, MonitorState } from '../callers/caller-resolver.ts';
import type { CallerTable } from '../callers/caller-table.ts';
import { confirmByWitness } from './ask-witness.ts';
import { MonitorSession, type TokenAdministration } from './monitor-session.ts';

/** How long {@link ControlServer.relieved} waits. */
export interface ReliefPatience {
  /** For what a monitor that is there says. */
  readonly withMonitorMillis: number;
  /** For a monitor to come. */
  readonly withoutMonitorMillis: number;
}

export interface ControlServerOptions {
  readonly socketPath: string;
  readonly table: CallerTable;
  readonly tokens: TokenAdministration;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly instanceId: string;
  readonly proxyVersion: string;
  /** TCP port of the HTTP server. */
  readonly port: () => number;
  readonly report: () => Report;
  /** What the monitor shows to whoever collects metrics. */
  readonly metrics: () => ProxyMetricNumbers;
  /** This proxy serves from now on. */
  readonly onServing: () => void;
  /** This proxy stands by, and the one that serves keeps these. */
  readonly onStandby: (tokens: readonly GivenToken[]) => void;
  /** What is open to IMDS goes by the way of before, on which nobody may let it through any more. */
  readonly onRouteMoved: () => void;
}

const REPORT_INTERVAL_MILLIS = 2_000;

// What was sent here just before is in the listening socket's queue, or a little behind.
const ARRIVAL_MILLIS = 50;

/** Named pipes of Windows are no files: they have no folder, no mode, and go with the process. */
const PIPE_PREFIX = '//./pipe/';

/**
 * The server's end of the control session: a Unix socket that only root can open, or a named pipe that only
 * administrators can write to. The newest session wins.
 */
export class ControlServer implements ConfirmationSource {
  readonly #options: ControlServerOptions;
  readonly #stateListeners = new Set<() => void>();
  /** Also those that have not said hello, and those that a newer one has replaced. */
  readonly #sessions = new Set<MonitorSession>();
  #server: Server | undefined;
  #session: MonitorSession | undefined;
  /** Of the session that ended last: an engine that restarts takes sessions along, and the monitor is still there. */
  #lastWitness: Witness | undefined;
  #role: 'serving' | 'standby' | undefined;
  #reportTimer: Timer | undefined;
  readonly #reliefWaiters = new Set<() => void>();
  #lastReport = '';

  constructor(options: ControlServerOptions) {
    this.#options = options;
  }

  get monitorState(): MonitorState {
    if (this.#session?.isSynchronized !== true) return 'none';
    return this.#session.isSilent ? 'silent' : 'live';
  }

  get role(): 'serving' | 'standby' | undefined {
    return this.#role;
  }

  async start(): Promise<void> {
    const { socketPath } = this.#options;
    const isFile = !socketPath.startsWith(PIPE_PREFIX);
    if (isFile) {
      mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
      // Left over by a server that was killed; a living one holds the listening port, which is taken first.
      rmSync(socketPath, { force: true });
    }
    const server = createServer(socket => this.#open(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', cause => {
        const text = `The control socket ${socketPath} cannot be opened: ${messageOf(cause)}`;
        reject(new MsiProxyError('MSI_LISTEN_FAILED', text, { cause }));
      });
      server.listen(socketPath, resolve);
    });
    // Such as an accept that fails for want of file descriptors.
    server.on('error', err => this.#options.logger.error('A control session could not be accepted', { err }));
    if (isFile) chmodSync(socketPath, 0o600);
    this.#scheduleReport();
  }

  /**
   * Waits until the monitor has said that no clients are sent here any more. Where none is there, a next one is waited for:
   * clients are sent here until it comes. Does not wait when they are sent elsewhere, or never were sent here.
   */
  async relieved({ withMonitorMillis, withoutMonitorMillis }: ReliefPatience): Promise<void> {
    if (this.#role !== 'serving') return;
    const { clock } = this.#options;
    const latestMillis = clock.monotonicMillis() + withoutMonitorMillis;
    const relief = Promise.withResolvers<undefined>();
    const relieve = () => relief.resolve(undefined);
    let wasLive: boolean | undefined;
    let timer: Timer | undefined;
    const setTimer = () => {
      const isLive = this.monitorState === 'live';
      if (isLive === wasLive) return;
      wasLive = isLive;
      timer?.cancel();
      timer = clock.setTimer(
        relieve,
        isLive ? withMonitorMillis : Math.max(latestMillis - clock.monotonicMillis(), 0),
      );
    };
    setTimer();
    const forget = this.onMonitorStateChange(setTimer);
    this.#reliefWaiters.add(relieve);
    await relief.promise;
    this.#reliefWaiters.delete(relieve);
    forget();
    timer?.cancel();
    await new Promise<void>(resolve => {
      this.#options.clock.setTimer(resolve, ARRIVAL_MILLIS);
    });
  }

  async stop(): Promise<void> {
    this.#reportTimer?.cancel();
    this.sendReport();
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise(resolve => server.close(resolve));
    for (const session of [...this.#sessions]) session.end();
    await closed;
  }

  get canAskWitness(): boolean {
    return this.#session === undefined ? this.#lastWitness !== undefined : this.#session.isSilent;
  }

  async confirm(address: string): Promise<Confirmed['result']> {
    if (this.#session !== undefined) return await this.#session.confirm(address);
    if (this.#lastWitness === undefined)
      throw new MsiProxyError('MSI_CONTROL_UNAVAILABLE', 'no monitor is connected');
    const { table, logger } = this.#options;
    return await confirmByWitness(this.#lastWitness, { address, table, logger });
  }

  onMonitorStateChange(listener: () => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Sends a report now if it says something new. */
  sendReport(): void {
    const report = this.#options.report();
    const text = JSON.stringify(report);
    if (text === this.#lastReport || this.#session === undefined) return;
    this.#lastReport = text;
    this.#session.send(report);
  }

  #open(socket: Socket): void {
    const { table, tokens, clock, logger } = this.#options;
    const session = new MonitorSession({
      socket,
      table,
      tokens,
      clock,
      logger,
      onHello: (from, hello) => this.#accept(from, hello),
      onRole: (from, role) => {
        if (from === this.#session) this.#setRole(role);
      },
      onRouteMoved: () => this.#options.onRouteMoved(),
      onStateChange: from => {
        if (from === this.#session) this.#tellState();
      },
      onEnd: from => this.#ended(from),
    });
    this.#sessions.add(session);
    session.start();
  }

  #accept(session: MonitorSession, hello: Hello): void {
    const { logger, instanceId, proxyVersion, port } = this.#options;
    const { sessionId } = hello;
    // Also to a monitor of another protocol, so that it can say which one this proxy speaks.
    session.send({
      type: 'welcome',
      protocol: CONTROL_PROTOCOL,
      sessionId,
      proxyVersion,
      instanceId,
      port: port(),
    });
    if (hello.protocol !== CONTROL_PROTOCOL) {
      throw new MsiProxyError(
        'MSI_CONTROL_PROTOCOL',
        `the monitor speaks protocol ${hello.protocol}, this proxy ${CONTROL_PROTOCOL}: run the same version of both`,
      );
    }
    const previous = this.#session;
    this.#session = session;
    previous?.end();
    this.#lastReport = '';
    // A monitor that starts must not send clients to a proxy that stops.
    this.sendReport();
    logger.info('A monitor has connected', {
      sessionId,
      monitorVersion: hello.monitorVersion,
    });
  }

  #setRole({ role, tokens }: Role): void {
    if (this.#role !== role)
      this.#options.logger.info(role === 'serving' ? 'This proxy serves' : 'This proxy stands by');
    const begins = role === 'serving' && this.#role !== role;
    this.#role = role;
    if (begins) this.#options.onServing();
    if (role === 'serving') return;
    this.#relieve();
    if (Array.isArray(tokens)) this.#options.onStandby(tokens.slice(0, MAX_GIVEN_TOKENS));
  }

  #relieve(): void {
    for (const relieve of this.#reliefWaiters) relieve();
  }

  #ended(session: MonitorSession): void {
    this.#sessions.delete(session);
    if (session !== this.#session) return;
    this.#session = undefined;
    this.#lastWitness = session.isSynchronized ? session.witness : undefined;
    this.#options.logger.warn(
      'The monitor has disconnected; requests wait until it is back, or says past the Docker engine who asks',
    );
    this.#tellState();
  }

  #tellState(): void {
    for (const listener of [...this.#stateListeners]) listener();
  }

  #scheduleReport(): void {
    this.#reportTimer = this.#options.clock.setTimer(() => {
      this.sendReport();
      this.#session?.send({ type: 'metrics', values: this.#options.metrics() });
      this.#scheduleReport();
    }, REPORT_INTERVAL_MILLIS);
  }
}
