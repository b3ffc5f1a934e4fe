import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { effectiveSettings, systemClock, type CommandRunner, type Logger } from '@msi-proxy/shared';
import { ProcessWatch, type ProcessUsage } from '@msi-proxy/shared/metrics';
import { HttpServer } from '@msi-proxy/shared/http';
import { AuditLog } from '../audit.ts';
import { CallerResolver } from '../callers/caller-resolver.ts';
import { CallerStatistics } from '../callers/caller-statistics.ts';
import { CallerTable } from '../callers/caller-table.ts';
import { PROXY_SETTINGS, type ProxySettings } from '../config.ts';
import { ControlServer } from '../control/control-server.ts';
import { dropPrivileges, type ProcessIdentity } from '../lifecycle/privileges.ts';
import { ProxyMetrics } from '../metrics/proxy-metrics.ts';
import { ensureRoute } from '../route/route.ts';
import { prefetchForCallers } from '../tokens/prefetch.ts';
import { StandbyTokens } from '../tokens/standby-tokens.ts';
import { createAnswers } from './answers.ts';
import { KnownRequests } from './known-requests.ts';
import { ReadyEndpoint } from './ready-endpoint.ts';
import { RequestHandler } from './request-handler.ts';

export interface ServeOptions {
  readonly settings: ProxySettings;
  readonly logger: Logger;
  readonly runner: CommandRunner;
  readonly identity: ProcessIdentity;
  readonly platform: NodeJS.Platform;
  readonly version: string;
  readonly processUsage: () => ProcessUsage;
}

export interface RunningProxy {
  readonly port: number;
  readonly instanceId: string;
  /** Takes those settings that can be changed while running from these. */
  reconfigure(settings: ProxySettings): void;
  /** Lets requests under way finish, then ends everything. */
  stop(): Promise<void>;
}

// The monitor takes some hundredths of a second to send clients elsewhere; on a VM that is busy, more.
const RELIEF_MILLIS = 2_000;

// A client that asks at least this often hears from the answer that its connection ends, before it does.
const CADENCE_MILLIS = 1_000;

/** Starts the server: route, port, control socket, and only then without root's rights. */
export async function serve(options: ServeOptions): Promise<RunningProxy> {
  const { settings, logger, runner, identity, platform, version, processUsage } = options;
  const clock = systemClock;
  const instanceId = randomUUID();
  logger.info('Starting', { version, instanceId, settings: effectiveSettings(PROXY_SETTINGS, settings) });
  if (settings.policy === 'audit') {
    logger.warn('Policies are only recorded, not enforced: every labelled client may have everything');
  }
  const route = settings.route === 'auto' ? await ensureRoute({ runner, logger, platform }) : 'off';

  let isLeaving = false;
  let current = settings;
  const table = new CallerTable(clock);
  const statistics = new CallerStatistics(clock);
  const metrics = new ProxyMetrics(clock.wallMillis());
  const processWatch = new ProcessWatch(processUsage);
  const answers = createAnswers({
    settings,
    timeouts: () => current,
    clock,
    logger,
    version,
    onTry: (status, durationMillis) => metrics.countUpstream(status, durationMillis),
    isCurrent: caller => table.isCurrent(caller),
  });
  const { upstream, broker } = answers;
  const standby = new StandbyTokens({ broker, clock });
  const control: ControlServer = new ControlServer({
    socketPath: settings.controlSocket,
    table,
    tokens: broker,
    clock,
    logger,
    instanceId,
    proxyVersion: version,
    port: () => server.port,
    report: () => ({
      type: 'report',
      upstream: upstream.state,
      draining: isLeaving,
      callers: statistics.report(),
      givenTokens: broker.given(),
    }),
    metrics: () =>
      metrics.read({
        budgetWaiting: answers.waiting(),
        callers: table.size,
        monitor: control.monitorState,
        policy: settings.policy,
        tokens: broker.count(),
        process: processWatch.read(),
      }),
    onServing: () => {
      standby.stop();
      prefetchAll?.();
    },
    onStandby: tokens => standby.follow(tokens),
    onRouteMoved: () => upstream.closeIdle(),
  });
  const prefetchAll = settings.prefetch
    ? prefetchForCallers({ broker, table, isServing: () => control.role === 'serving' })
    : undefined;
  const resolver = new CallerResolver({ table, monitor: control, clock, limits: () => current });
  const ready = new ReadyEndpoint({
    instanceId,
    resolver,
    health: () => ({
      healthy: !isLeaving,
      details: {
        route,
        monitor: control.monitorState,
        callers: table.size,
        imds: upstream.state.state,
        role: control.role,
        policy: settings.policy,
      },
    }),
    isDraining: () => isLeaving,
  });
  const audit = new AuditLog(logger, clock);
  const handler = new RequestHandler({
    ready,
    table,
    resolver,
    statistics,
    audit,
    metrics,
    logger,
    clock,
    policy: { mode: settings.policy, requireIdentity: settings.requireIdentity },
    sources: answers.sourceOf,
    keptAnswer: answers.keptToken,
    // A connection stays on this proxy whatever the wiring says, until this proxy ends it.
    endsConnections: () => isLeaving || control.role === 'standby',
  });
  const server: HttpServer = new HttpServer({
    listen: settings.listen,
    maxConnections: settings.maxConnections,
    clock,
    logger,
    handle: (request, response) => handler.handle(request, response),
    fastPath: new KnownRequests(handler),
  });

  const leave = async () => {
    isLeaving = true;
    control.sendReport();
    const { drainMillis } = current;
    const deadlineMillis = clock.monotonicMillis() + drainMillis;
    await control.relieved({
      withMonitorMillis: Math.min(RELIEF_MILLIS, drainMillis),
      withoutMonitorMillis: Math.max(drainMillis - RELIEF_MILLIS, 0),
    });
    resolver.stop();
    await server.idleConnectionsEnded(Math.min(CADENCE_MILLIS, drainMillis));
    await server.drain(Math.max(deadlineMillis - clock.monotonicMillis(), 0));
    await control.stop();
    standby.stop();
    broker.stop();
    answers.destroy();
    audit.stop();
  };
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= leave());
  try {
    await server.start();
    await control.start();
    if (dropPrivileges({ identity, user: settings.user, readStatus }))
      logger.info('Gave up root', { user: settings.user });
  } catch (error) {
    await stop();
    throw error;
  }
  logger.info('Ready', { port: server.port });
  const reconfigure = (changed: ProxySettings) => {
    current = changed;
    server.maxConnections = changed.maxConnections;
  };
  return { port: server.port, instanceId, reconfigure, stop };
}

function readStatus(): string | undefined {
  try {
    return readFileSync('/proc/self/status', 'utf8');
  } catch {
    return undefined; // not Linux
  }
}
