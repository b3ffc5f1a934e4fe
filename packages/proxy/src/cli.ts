import type { Readable, Writable } from 'node:stream';
import {
  controlLogLevel,
  createLogger,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  loadSettings,
  localCommandRunner,
  messageOf,
  MsiProxyError,
  ReloadRequests,
  SettingsError,
  settingsReload,
  silentLogger,
  systemClock,
  unseenFlags,
  type Environment,
  type IdentityRef,
  type Logger,
  type SettingFlags,
  type SettingsOf,
  type SettingsTable,
} from '@msi-proxy/shared';
import type { ProcessUsage } from '@msi-proxy/shared/metrics';
import { openCommandLine } from '@msi-proxy/shared/command-line';
import { CHECK_SETTINGS, PROXY_PROGRAM } from './command-line.ts';
import { PROXY_CONFIGURATION, PROXY_SETTINGS, type ProxySettings } from './config.ts';
import type { ProcessIdentity } from './lifecycle/privileges.ts';

/** What the command line needs of the process. */
export interface CliOptions {
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly identity: ProcessIdentity;
  readonly platform: NodeJS.Platform;
  readonly version: string;
  readonly processUsage: () => ProcessUsage;
  /** Calls back at the first request to end; the second one ends the process at once. */
  readonly onStop: (stop: () => void) => void;
  /** Calls back whenever the log should become more detailed, or be as before. */
  readonly onDebugSwitch?: (toggle: () => void) => void;
  /** Calls back whenever the settings file should be read again. */
  readonly onReload?: (reload: () => void) => void;
}

/** With what the command line says of settings. */
interface CommandOptions extends CliOptions {
  readonly flags: SettingFlags;
}

/** @returns the exit code */
export async function runCli(cli: CliOptions): Promise<number> {
  const opened = await openCommandLine(PROXY_PROGRAM, cli);
  if (typeof opened === 'number') return opened;
  const options: CommandOptions = { ...cli, flags: opened.settings.flags };
  try {
    switch (opened.command) {
      case 'serve':
        return await serveUntilStopped(options);
      case 'control':
        return await control(options);
      case 'healthcheck':
        return await health(options);
      case 'check':
        return await check(options, opened.options.json);
      case 'tokens':
        return await listTokens(options, opened.options.json);
      case 'tokens flush':
        return await flushTokens(options, opened.options.identity);
    }
  } catch (error) {
    if (opened.command !== 'serve') options.stderr.write(`${messageOf(error)}\n`);
    return error instanceof SettingsError ? EXIT_CONFIG : EXIT_FAILURE;
  }
}

async function serveUntilStopped(options: CommandOptions): Promise<number> {
  const { stdout, identity, platform, version, processUsage, onStop, onDebugSwitch, onReload } = options;
  const logger = createLogger({ component: 'proxy', stream: stdout });
  // First of all: the kernel drops signals to a container's first process that it does not listen for.
  const stopRequested = new Promise<void>(resolve => {
    onStop(resolve);
  });
  const reloads = new ReloadRequests();
  onReload?.(() => reloads.request());
  try {
    const load = () => loadSettings(PROXY_CONFIGURATION, options, PROXY_SETTINGS);
    const loaded = await load();
    const settings = loaded.values;
    const logLevel = controlLogLevel(logger, settings.logLevel);
    onDebugSwitch?.(logLevel.toggle);
    const unseen = unseenFlags(loaded, {
      settings: PROXY_SETTINGS,
      names: Object.keys(CHECK_SETTINGS) as (keyof typeof CHECK_SETTINGS)[],
      commands: 'healthcheck and control',
    });
    for (const warning of [...loaded.warnings, ...unseen]) logger.warn(warning);
    // What only the server needs is loaded here, so that the other commands start faster.
    const { serve } = await import('./server/serve.ts');
    const proxy = await serve({
      settings,
      logger,
      runner: localCommandRunner,
      identity,
      platform,
      version,
      processUsage,
    });
    const apply = (changed: ProxySettings) => {
      logLevel.setOwnLevel(changed.logLevel);
      proxy.reconfigure(changed);
    };
    reloads.serveWith(settingsReload({ configuration: PROXY_CONFIGURATION, loaded, load, apply, logger }));
    await stopRequested;
    logger.info('Stopping: requests under way may finish');
    await proxy.stop();
    logger.info('Stopped');
    return EXIT_OK;
  } catch (error) {
    logStartFailure(logger, error);
    throw error;
  }
}

function logStartFailure(logger: Logger, error: unknown): void {
  if (error instanceof SettingsError) {
    for (const { text, ...fields } of error.problems) logger.error(text, { code: error.code, ...fields });
  } else if (error instanceof MsiProxyError) {
    logger.error(error.message, { code: error.code, ...error.details });
  } else {
    logger.error('The proxy could not start', { err: error });
  }
}

async function control(options: CommandOptions): Promise<number> {
  const { platform, stdin, stdout, stderr } = options;
  const { runControl } = await import('./control/control-command.ts');
  const { moveRoute } = await import('./route/route.ts');
  const { controlSocket, route } = await settingsFor(options, {
    controlSocket: PROXY_SETTINGS.controlSocket,
    route: PROXY_SETTINGS.route,
  });
  return await runControl({
    socketPath: controlSocket,
    stdin,
    stdout,
    stderr,
    clock: systemClock,
    ...(route === 'auto' && {
      setRoute: wanted => moveRoute(wanted, { runner: localCommandRunner, logger: silentLogger, platform }),
    }),
  });
}

async function health(options: CommandOptions): Promise<number> {
  const { healthcheck } = await import('./healthcheck.ts');
  const { listen } = await settingsFor(options, { listen: PROXY_SETTINGS.listen });
  return await healthcheck(listen);
}

async function check(options: CommandOptions, asJson: boolean): Promise<number> {
  const { runCheck } = await import('./check/check-command.ts');
  const { platform, stdout } = options;
  const settings = await settingsFor(options, CHECK_SETTINGS);
  const surroundings = { runner: localCommandRunner, platform, clock: systemClock, stdout };
  return await runCheck({ ...settings, ...surroundings }, asJson ? 'json' : 'text');
}

async function listTokens(options: CommandOptions, asJson: boolean): Promise<number> {
  const tokens = await import('./control/tokens-command.ts');
  await tokens.listTokens(await tokensCommand(options), asJson ? 'json' : 'table');
  return EXIT_OK;
}

async function flushTokens(options: CommandOptions, identity: IdentityRef | undefined): Promise<number> {
  const tokens = await import('./control/tokens-command.ts');
  await tokens.flushTokens(await tokensCommand(options), identity);
  return EXIT_OK;
}

async function tokensCommand(options: CommandOptions) {
  const { controlSocket } = await settingsFor(options, { controlSocket: PROXY_SETTINGS.controlSocket });
  return { socketPath: controlSocket, clock: systemClock, stdout: options.stdout };
}

/** For the commands that need a few of them. */
async function settingsFor<Table extends SettingsTable>(
  options: CommandOptions,
  part: Table,
): Promise<SettingsOf<Table>> {
  return (await loadSettings(PROXY_CONFIGURATION, options, part)).values;
}
