import type { Readable, Writable } from 'node:stream';
import {
  createLogger,
  debugSwitch,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  localCommandRunner,
  messageOf,
  MsiProxyError,
  readSettings,
  SettingsError,
  silentLogger,
  systemClock,
  type Environment,
  type IdentityRef,
  type Logger,
} from '@msi-proxy/shared';
import type { ProcessUsage } from '@msi-proxy/shared/metrics';
import { openCommandLine } from '@msi-proxy/shared/command-line';
import { CHECK_SETTINGS, PROXY_PROGRAM } from './command-line.ts';
import { PROXY_SETTINGS } from './config.ts';
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
}

/** @returns the exit code */
export async function runCli(options: CliOptions): Promise<number> {
  const opened = await openCommandLine(PROXY_PROGRAM, options);
  if (typeof opened === 'number') return opened;
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

async function serveUntilStopped({
  environment,
  identity,
  platform,
  version,
  processUsage,
  onStop,
  onDebugSwitch,
}: CliOptions): Promise<number> {
  const logger = createLogger({ component: 'proxy' });
  // First of all: the kernel drops signals to a container's first process that it does not listen for.
  const stopRequested = new Promise<void>(resolve => {
    onStop(resolve);
  });
  try {
    const settings = readSettings(PROXY_SETTINGS, environment);
    logger.setLevel(settings.logLevel);
    onDebugSwitch?.(debugSwitch(logger, settings.logLevel));
    // What only the server needs is loaded here, so that the other commands start faster.
    const { serve } = await import('./server/serve.ts');
    const proxy = await serve({
      settings,
      environment,
      logger,
      runner: localCommandRunner,
      identity,
      platform,
      version,
      processUsage,
    });
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
    for (const { env, value, expected } of error.problems) {
      logger.error(`${env} is "${value}": expected ${expected}`, { code: error.code });
    }
  } else if (error instanceof MsiProxyError) {
    logger.error(error.message, { code: error.code, ...error.details });
  } else {
    logger.error('The proxy could not start', { err: error });
  }
}

async function control({ environment, platform, stdin, stdout, stderr }: CliOptions): Promise<number> {
  const { runControl } = await import('./control/control-command.ts');
  const { moveRoute } = await import('./route/route.ts');
  const { controlSocket, route } = readSettings(
    { controlSocket: PROXY_SETTINGS.controlSocket, route: PROXY_SETTINGS.route },
    environment,
  );
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

async function health({ environment }: CliOptions): Promise<number> {
  const { healthcheck } = await import('./healthcheck.ts');
  const { listen } = readSettings({ listen: PROXY_SETTINGS.listen }, environment);
  return await healthcheck(listen);
}

async function check({ environment, platform, stdout }: CliOptions, asJson: boolean): Promise<number> {
  const { runCheck } = await import('./check/check-command.ts');
  const settings = readSettings(CHECK_SETTINGS, environment);
  const surroundings = { runner: localCommandRunner, platform, clock: systemClock, stdout };
  return await runCheck({ ...settings, ...surroundings }, asJson ? 'json' : 'text');
}

async function listTokens({ environment, stdout }: CliOptions, asJson: boolean): Promise<number> {
  const tokens = await import('./control/tokens-command.ts');
  await tokens.listTokens(tokensCommand(environment, stdout), asJson ? 'json' : 'table');
  return EXIT_OK;
}

async function flushTokens(
  { environment, stdout }: CliOptions,
  identity: IdentityRef | undefined,
): Promise<number> {
  const tokens = await import('./control/tokens-command.ts');
  await tokens.flushTokens(tokensCommand(environment, stdout), identity);
  return EXIT_OK;
}

function tokensCommand(environment: Environment, stdout: Writable) {
  const { controlSocket } = readSettings({ controlSocket: PROXY_SETTINGS.controlSocket }, environment);
  return { socketPath: controlSocket, clock: systemClock, stdout };
}
