import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createLogger,
  debugSwitch,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  messageOf,
  MsiProxyError,
  readSettings,
  SettingsError,
  systemClock,
  type Environment,
} from '@msi-proxy/shared';
import type { ProcessUsage } from '@msi-proxy/shared/metrics';
import { openCommandLine, type Invocation } from '@msi-proxy/shared/command-line';
import { MONITOR_PROGRAM } from './command-line.ts';
import { MONITOR_SETTINGS } from './config.ts';
import type { TerminalOutput } from './terminal/terminal.ts';

/** What the command line needs of the process. */
export interface CliOptions {
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly stdout: Writable & TerminalOutput;
  readonly stderr: Writable;
  readonly version: string;
  readonly processUsage: () => ProcessUsage;
  /** As Node names it. */
  readonly platform: string;
  readonly selfArgv: readonly [file: string, ...argv: string[]];
  /** Calls back at the first request to end; the second one ends the process at once. */
  readonly onStop: (stop: () => void) => void;
  /** Calls back whenever the log should become more detailed, or be as before. */
  readonly onDebugSwitch?: (toggle: () => void) => void;
}

const WATCH_INTERVAL_MILLIS = 1_000;

/** @returns the exit code */
export async function runCli(options: CliOptions): Promise<number> {
  const { stderr } = options;
  const completions = { container: () => containerNames(options) };
  const opened = await openCommandLine(MONITOR_PROGRAM, { ...options, completions });
  if (typeof opened === 'number') return opened;
  try {
    switch (opened.command) {
      case 'run':
        return await runUntilStopped(options);
      case 'status':
        return await status(options, opened.options);
      case 'doctor':
        return await doctor(options, opened.arguments.container, opened.options);
      case 'explain':
        return await explain(options, opened.arguments.container);
      case 'unwire':
        return await unwire(options, opened.arguments.container);
      case 'probe':
        return await probe(options);
    }
  } catch (error) {
    const code = error instanceof MsiProxyError ? `${error.code}: ` : '';
    if (opened.command !== 'run')
      stderr.write(`${code}${messageOf(error)}\n${await remedyLine(error, options)}`);
    return error instanceof SettingsError ? EXIT_CONFIG : EXIT_FAILURE;
  }
}

// Each command loads what it needs, so that `probe`, which is run for each wiring check, starts fast.

/** What to do about an error that says what it is. */
async function remedyLine(error: unknown, { environment, platform }: CliOptions): Promise<string> {
  if (!(error instanceof MsiProxyError) || error instanceof SettingsError) return '';
  const { remedyOf } = await import('./remedies.ts');
  const { dockerHost } = readSettings({ dockerHost: MONITOR_SETTINGS.dockerHost }, environment);
  return `→ ${remedyOf(error, { host: dockerHost, platform })}\n`;
}

type OptionsOf<Command> = Extract<
  Invocation<typeof MONITOR_PROGRAM>,
  { readonly command: Command }
>['options'];

async function runUntilStopped({
  environment,
  version,
  platform,
  selfArgv,
  processUsage,
  onStop,
  onDebugSwitch,
}: CliOptions): Promise<number> {
  const logger = createLogger({ component: 'monitor' });
  try {
    const settings = readSettings(MONITOR_SETTINGS, environment);
    logger.setLevel(settings.logLevel);
    onDebugSwitch?.(debugSwitch(logger, settings.logLevel));
    const stopRequested = new Promise<undefined>(resolve => {
      onStop(() => resolve(undefined));
    });
    const { run } = await import('./run.ts');
    const monitor = await run({ settings, environment, logger, version, platform, selfArgv, processUsage });
    await stopRequested;
    logger.info('Stopping; wiring and packet rules stay in place');
    await monitor.stop();
    return EXIT_OK;
  } catch (error) {
    if (error instanceof SettingsError) {
      for (const { env, value, expected } of error.problems) {
        logger.error(`${env} is "${value}": expected ${expected}`, { code: error.code });
      }
    } else logger.error('The monitor could not start', { err: error });
    throw error;
  }
}

async function status(
  { environment, stdout, onStop }: CliOptions,
  { json, watch }: OptionsOf<'status'>,
): Promise<number> {
  const [{ fetchStatus, formatStatus, watchStatus }, { createTerminal }] = await Promise.all([
    import('./status/index.ts'),
    import('./terminal/terminal.ts'),
  ]);
  const { listen } = readSettings({ listen: MONITOR_SETTINGS.listen }, environment);
  const terminal = createTerminal(stdout, environment);
  const fetch = () => fetchStatus(listen);
  if (watch) {
    const stopping = new AbortController();
    const stop = () => stopping.abort();
    onStop(stop);
    // Whoever read it has gone.
    stdout.once('error', stop);
    const format = json ? 'json' : 'text';
    const { signal } = stopping;
    // Not by the clock, whose timers do not keep the process alive.
    const pause = () => delay(WATCH_INTERVAL_MILLIS, undefined, { signal }).catch(() => undefined);
    await watchStatus({ fetch, terminal, format, clock: systemClock, pause, signal });
    return EXIT_OK;
  }
  const current = await fetch();
  const { paint, width } = terminal;
  terminal.write(
    json
      ? `${JSON.stringify(current, undefined, 2)}\n`
      : formatStatus(current, { paint, width, nowMillis: systemClock.wallMillis() }),
  );
  return EXIT_OK;
}

async function doctor(
  { environment, stdout, platform, version, selfArgv }: CliOptions,
  container: string | undefined,
  { resource, identity, json }: OptionsOf<'doctor'>,
): Promise<number> {
  const [{ runDoctor }, { createTerminal }] = await Promise.all([
    import('./doctor/doctor.ts'),
    import('./terminal/terminal.ts'),
  ]);
  return await runDoctor({
    settings: readSettings(MONITOR_SETTINGS, environment),
    subject: {
      ...(container !== undefined && { container }),
      ...(resource !== undefined && { resource }),
      ...(identity !== undefined && { identity }),
    },
    version,
    platform,
    probeArgv: [...selfArgv, 'probe'],
    format: json ? 'json' : 'text',
    terminal: createTerminal(stdout, environment),
  });
}

async function explain({ environment, stdout }: CliOptions, container: string): Promise<number> {
  const [{ runExplain }, { createTerminal }] = await Promise.all([
    import('./explain/explain.ts'),
    import('./terminal/terminal.ts'),
  ]);
  const settings = readSettings(MONITOR_SETTINGS, environment);
  await runExplain({ settings, container, terminal: createTerminal(stdout, environment) });
  return EXIT_OK;
}

/** For completion. */
async function containerNames({ environment }: CliOptions): Promise<string[]> {
  const { runningContainerNames } = await import('./docker/index.ts');
  return await runningContainerNames(
    readSettings({ dockerHost: MONITOR_SETTINGS.dockerHost }, environment).dockerHost,
  );
}

async function unwire(
  { environment, stdout, platform }: CliOptions,
  container: string | undefined,
): Promise<number> {
  const { unwire: remove } = await import('./unwire.ts');
  const settings = readSettings(MONITOR_SETTINGS, environment);
  const succeeded = await remove({
    settings,
    platform,
    ...(container !== undefined && { container }),
    print: line => stdout.write(`${line}\n`),
  });
  return succeeded ? EXIT_OK : EXIT_FAILURE;
}

async function probe({ stdout }: CliOptions): Promise<number> {
  const { probe: ask } = await import('./wiring/probe.ts');
  const outcome = await ask();
  stdout.write(`${JSON.stringify(outcome)}\n`);
  // The outcome is the answer, also when it is a failure.
  return EXIT_OK;
}
