import { randomUUID } from 'node:crypto';
import {
  effectiveSettings,
  systemClock,
  unknownSettings,
  type CommandRunner,
  type EndpointGroup,
  type Environment,
  type Logger,
} from '@msi-proxy/shared';
import { AuditLog } from '../audit.ts';
import { CallerResolver } from '../callers/caller-resolver.ts';
import { CallerStatistics } from '../callers/caller-statistics.ts';
import { CallerTable } from '../callers/caller-table.ts';
import { PROXY_SETTINGS, SETTINGS_PREFIX, type ProxySettings } from '../config.ts';
import { ControlServer } from '../control/control-server.ts';
import { dropPrivileges, type ProcessIdentity } from '../lifecycle/privileges.ts';
import { Relay } from '../relay.ts';
import { ensureRoute } from '../route/linux-route.ts';
import { Upstream } from '../upstream/upstream.ts';
import { HttpServer } from './http-server.ts';
import { createRelaySource } from './relay-source.ts';
import { RequestHandler } from './request-handler.ts';

export interface ServeOptions {
  readonly settings: ProxySettings;
  readonly environment: Environment;
  readonly logger: Logger;
  readonly runner: CommandRunner;
  readonly identity: ProcessIdentity;
  readonly version: string;
}

export interface RunningProxy {
  readonly port: number;
  readonly instanceId: string;
  /** Lets requests under way finish, then ends everything. */
  stop(): Promise<void>;
}

/** Starts the server: route, port, control socket, and only then without root's rights. */
export async function serve(options: ServeOptions): Promise<RunningProxy> {
  const { settings, environment, logger, runner, identity, version } = options;
  const clock = systemClock;
  const instanceId = randomUUID();
  logger.info('Starting', { version, instanceId, settings: effectiveSettings(PROXY_SETTINGS, settings) });
  for (const name of unknownSettings(PROXY_SETTINGS, environment, SETTINGS_PREFIX)) {
    logger.warn(`${name} is not a setting of the proxy and has no effect`);
  }

  if (settings.route === 'auto') await ensureRoute({ runner, logger });

  const table = new CallerTable(clock);
  const statistics = new CallerStatistics();
  const upstream = new Upstream(settings.imdsAddress);
  const relay = new Relay({ upstream, clock, maxResponseBytes: settings.maxResponseBytes });
  const control: ControlServer = new ControlServer({
    socketPath: settings.controlSocket,
    table,
    clock,
    logger,
    instanceId,
    proxyVersion: version,
    port: () => server.port,
    report: () => ({
      type: 'report',
      upstream: upstream.state,
      draining: server.isDraining,
      callers: statistics.report(),
    }),
  });
  const resolver = new CallerResolver({ table, monitor: control, clock, ...settings });
  const general = createRelaySource({ relay, timeoutMillis: settings.upstreamTimeoutMillis });
  const scheduledEvents = createRelaySource({ relay, timeoutMillis: settings.scheduledEventsTimeoutMillis });
  const sources = (group: EndpointGroup | 'versions') =>
    group === 'scheduledevents' || group === 'scheduledevents-ack' ? scheduledEvents : general;
  const handler = new RequestHandler({
    instanceId,
    table,
    resolver,
    statistics,
    audit: new AuditLog(logger, clock),
    logger,
    clock,
    requireIdentity: settings.requireIdentity,
    sources,
    health: () => ({
      healthy: !server.isDraining,
      details: {
        monitor: control.monitorState,
        callers: table.size,
        imds: upstream.state.state,
        role: control.role,
      },
    }),
    isDraining: () => server.isDraining,
  });
  const server: HttpServer = new HttpServer({
    listen: settings.listen,
    maxConnections: settings.maxConnections,
    clock,
    handle: (request, response) => handler.handle(request, response),
  });

  await server.start();
  await control.start();
  if (dropPrivileges(identity, settings.user)) logger.info('Dropped root rights', { user: settings.user });
  logger.info('Ready', { port: server.port });

  return {
    port: server.port,
    instanceId,
    async stop() {
      const drained = server.drain(settings.drainMillis);
      control.sendReport();
      await drained;
      await control.stop();
      upstream.destroy();
    },
  };
}
