import { hostname } from 'node:os';
import {
  effectiveSettings,
  IMDS_ADDRESS,
  localCommandRunner,
  systemClock,
  watchedLogger,
  type Environment,
  type Logger,
} from '@msi-proxy/shared';
import { ProcessWatch, type ProcessUsage } from '@msi-proxy/shared/metrics';
import { MONITOR_SETTINGS, type MonitorSettings } from './config.ts';
import { createEngineClient, type EngineClient } from './docker/index.ts';
import { createVmRules } from './guard/nft-vm-rules.ts';
import { createNoVmRules } from './guard/no-vm-rules.ts';
import { RuleFollower } from './guard/rule-follower.ts';
import { MonitorMetrics } from './metrics/monitor-metrics.ts';
import { refuseSecondMonitor } from './other-monitor.ts';
import { watchProxy } from './proxies/proxy-watch.ts';
import { readTextFile } from './read-text-file.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { VmLinks } from './reconcile/vm-links.ts';
import { ServiceManager } from './service-manager.ts';
import { StandIn } from './stand-in/stand-in.ts';
import { Witness } from './stand-in/witness.ts';
import { EventJournal } from './status/event-journal.ts';
import { fetchStatus } from './status/fetch-status.ts';
import { createStatusServer, type Readiness } from './status/status-server.ts';
import { StatusService } from './status/status-service.ts';
import { monitorStatus } from './status/monitor-status.ts';
import { createClientNamespaces } from './wiring/client-namespace.ts';
import { missingVmAccess } from './vm-access.ts';
import { createAttachWiring } from './wiring/attach/attach.ts';
import { Attachment } from './wiring/attach/attachment.ts';
import { LinkNetwork } from './wiring/attach/link-network.ts';
import { DEFAULT_PROXY_NETWORK } from './wiring/default-proxy-network.ts';
import { createExecInContainer } from './wiring/exec-in-container.ts';
import { createHostWiring, routesInternalNetworks } from './wiring/host.ts';
import { createNamespaceProbe } from './wiring/namespace-probe.ts';
import { createNatWiring } from './wiring/nat.ts';
import { createPortproxyWiring } from './wiring/portproxy/portproxy.ts';
import { probe } from './wiring/probe.ts';
import { createWiringSelector } from './wiring/select.ts';
import type { WiringMethod } from './wiring/wiring-method.ts';

export interface RunOptions {
  readonly settings: MonitorSettings;
  /** By which a service manager says that it is there. */
  readonly environment: Environment;
  readonly logger: Logger;
  readonly version: string;
  /** As Node names it, of the machine that the monitor runs on. */
  readonly platform: string;
  /** Starts this program again, for its `probe` command. */
  readonly selfArgv: readonly [file: string, ...argv: string[]];
  readonly processUsage: () => ProcessUsage;
}

export interface RunningMonitor {
  /** Never fulfilled; rejects when another monitor of this VM is found, for which this one should stop. */
  readonly refused: Promise<never>;
  /** Takes those settings that can be changed while running from these. */
  reconfigure(settings: MonitorSettings): void;
  /** Stops following Docker; wiring and rules stay in place. */
  stop(): Promise<void>;
}

const NO_GUARD_REASON =
  'Windows has no packet rules that tell its containers apart, so the label is no access control there: see docs/windows.md';

/** @param missingAccess what the monitor lacks */
function noGuardReason(missingAccess: string): string {
  return `${missingAccess}, so nobody is kept from going to IMDS past the proxy, and the label is no access control: see docs/security.md`;
}

/** One that serves answers at once. Nothing is guarded meanwhile. */
const OTHER_MONITOR_MILLIS = 500;

/**
 * Starts the monitor. Does not wait for Docker, which may come later.
 *
 * @throws {MsiProxyError} `MSI_SECOND_MONITOR` when another monitor runs on this VM
 */
export async function run(options: RunOptions): Promise<RunningMonitor> {
  const { settings, environment, version } = options;
  const clock = systemClock;
  const startedAtMillis = clock.wallMillis();
  const metrics = new MonitorMetrics();
  const logger = watchedLogger(options.logger, err => metrics.countFailure(err));
  const processWatch = new ProcessWatch(options.processUsage);
  logger.info('Starting', { version, settings: effectiveSettings(MONITOR_SETTINGS, settings) });

  const engine = createEngineClient({ dockerHost: settings.dockerHost, logger });
  const isWindows = options.platform === 'win32';
  const proxyNetwork = settings.proxyNetwork ?? DEFAULT_PROXY_NETWORK[isWindows ? 'nat' : 'bridge'];
  const isForWindows = isWindows || settings.containerOs === 'windows';
  const missingAccess = isForWindows ? undefined : missingVmAccess(readTextFile);
  const attaches =
    !isForWindows &&
    (settings.wiring === 'attach' || (settings.wiring === 'auto' && missingAccess !== undefined));
  const hasRules = !isForWindows && !(attaches && missingAccess !== undefined);
  const rules = hasRules
    ? createVmRules({ runner: localCommandRunner, logger })
    : createNoVmRules(isForWindows ? NO_GUARD_REASON : noGuardReason(missingAccess ?? ''));
  const refuseSecond = async () =>
    await refuseSecondMonitor({
      listen: settings.listen,
      ...(hasRules && { runner: localCommandRunner }),
      fetchStatus: listen => fetchStatus(listen, OTHER_MONITOR_MILLIS),
    });
  await refuseSecond();
  const link = new LinkNetwork(engine);
  const journal = new EventJournal(clock);
  const host = createHostWiring({
    rules,
    proxyNetwork,
    internalNetworksAreRouted: () => routesInternalNetworks(reconciler.engineStatus.apiVersion),
    clock,
    lull: () => reconciler.rules.lull(),
  });
  const nat = createNat(options, engine);
  const stopping = new AbortController();
  const portproxy = createPortproxyWiring({ engine, clock, stopping: stopping.signal });
  const methods = attaches ? [createAttachWiring(link), portproxy] : [host, nat, portproxy];
  const redirect = hasRules && !attaches && ['auto', 'host'].includes(settings.wiring);
  const isOnVm = hasRules && !attaches;
  const standIn =
    isOnVm && settings.standInPort !== 0
      ? new StandIn({
          port: settings.standInPort,
          clock,
          logger,
          onRequestOver: outcome => metrics.countStandInRequest(outcome),
          lendSources: (sources, connect) => rules.lendSources(sources, connect),
          witness: new Witness({ unchanged: address => reconciler.unchanged(address) }),
        })
      : undefined;
  let current = settings;
  const reconciler: Reconciler = new Reconciler({
    engine,
    rules,
    ...(hasRules && {
      ruleFollower: new RuleFollower({ runner: localCommandRunner, clock, logger, random: Math.random }),
    }),
    selector: createWiringSelector({ methods, setting: settings.wiring }),
    clock,
    logger,
    random: Math.random,
    journal,
    metrics,
    guard: settings.guard,
    redirect,
    ...(standIn !== undefined && { standIn }),
    ...(isOnVm && { kernel: { links: new VmLinks(readTextFile), readText: readTextFile } }),
    ...(attaches && { attachment: new Attachment({ link, logger }) }),
    watchProxy,
    serverAnswers: async ({ address, port, instanceId }) => {
      const outcome = await probe({ address, port });
      return 'instanceId' in outcome && outcome.instanceId === instanceId;
    },
    proxyNetworkName: proxyNetwork,
    proxyNetworkDriver: isWindows ? 'nat' : 'bridge',
    ...(settings.proxySubnet !== undefined && { proxySubnet: settings.proxySubnet }),
    resyncMillis: () => current.resyncSeconds * 1_000,
    unlabelledSharers: settings.unlabelledSharers,
    containerOs: settings.containerOs,
    version,
  });
  const server = createStatusServer({
    listen: settings.listen,
    logger,
    clock,
    status: () => monitorStatus({ reconciler, journal, version, startedAtMillis, hostname: hostname() }),
    refresh: () => reconciler.proxies.refreshTokens(),
    pageAssets: async () => await (await import('#page-assets')).pageAssets(),
    metrics: () =>
      metrics.page({
        status: monitorStatus({ reconciler, journal, version, startedAtMillis }),
        imdsIsFailing: reconciler.proxies.serving?.report?.upstream.state === 'failing',
        proxies: reconciler.proxies.measured,
        process: processWatch.read(),
        heldRequests: standIn?.heldRequests ?? 0,
        queueDepth: reconciler.queueDepth,
        resyncSeconds: current.resyncSeconds,
      }),
    ready: () => readiness(reconciler, current, clock.wallMillis()),
  });

  const serviceManager = new ServiceManager({ environment, runner: localCommandRunner, clock, logger });

  // The guard waits for nothing, and least of all for an address of the status.
  const guarded = reconciler.start();
  const status = new StatusService({
    server,
    clock,
    logger,
    random: Math.random,
    // Whoever only pretends to be a monitor must not keep the VM from its guard, which stays when this one stops.
    refuseSecond: () => guarded.then(refuseSecond),
  });
  status.start();
  await guarded;
  await serviceManager.ready();
  return {
    refused: status.refused,
    reconfigure(changed) {
      const isOther = changed.resyncSeconds !== current.resyncSeconds;
      current = changed;
      if (isOther) reconciler.rescheduleResync();
    },
    async stop() {
      await serviceManager.stopping();
      stopping.abort();
      await reconciler.stop();
      await status.stop();
      processWatch.stop();
    },
  };
}

function createNat({ logger, selfArgv }: RunOptions, engine: EngineClient): WiringMethod {
  const namespaces = createClientNamespaces({
    runner: localCommandRunner,
    execInContainer: createExecInContainer(engine),
  });
  return createNatWiring({ namespaces, probe: createNamespaceProbe([...selfArgv, 'probe']), logger });
}

function readiness(reconciler: Reconciler, { resyncSeconds }: MonitorSettings, nowMillis: number): Readiness {
  const { state, lastSyncAt, lastError } = reconciler.engineStatus;
  const guard = reconciler.rules.status;
  const reasons: string[] = [];
  if (state !== 'connected') reasons.push(`the Docker engine is not followed: ${lastError ?? state}`);
  if (lastSyncAt === undefined || nowMillis - Date.parse(lastSyncAt) > 2_000 * resyncSeconds) {
    reasons.push(`containers were not read within the last ${2 * resyncSeconds} s`);
  }
  if (guard.state === 'not-in-place')
    reasons.push(`the way to ${IMDS_ADDRESS} is not guarded: ${guard.reason ?? ''}`);
  return reasons.length === 0 ? { ready: true } : { ready: false, reason: reasons.join('; ') };
}
