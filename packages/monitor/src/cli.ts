import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  controlLogLevel,
  createLogger,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  loadSettings,
  messageOf,
  MsiProxyError,
  ReloadRequests,
  SettingsError,
  settingsReload,
  systemClock,
  unseenFlags,
  type Environment,
  type SettingFlags,
  type SettingsOf,
  type SettingsTable,
} from '@msi-proxy/shared';
import type { ProcessUsage } from '@msi-proxy/shared/metrics';
import { openCommandLine, type Invocation } from '@msi-proxy/shared/command-line';
import { MONITOR_PROGRAM } from './command-line.ts';
import { MONITOR_CONFIGURATION, MONITOR_SETTINGS, type MonitorSettings } from './config.ts';
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
  /** Calls back whenever the settings file should be read again. */
  readonly onReload?: (reload: () => void) => void;
}

/** With what the command line says of settings. */
interface CommandOptions extends CliOptions {
  readonly flags: SettingFlags;
}

const WATCH_INTERVAL_MILLIS = 1_000;

/** Days. */
const ALIVE_MILLIS = 2 ** 30;

/** @returns the exit code */
export async function runCli(cli: CliOptions): Promise<number> {
  const { stderr } = cli;
  const completions = { container: () => containerNames({ ...cli, flags: {} }) };
  const opened = await openCommandLine(MONITOR_PROGRAM, { ...cli, completions });
  if (typeof opened === 'number') return opened;
  const options: CommandOptions = { ...cli, flags: opened.settings.flags };
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
    if (opened.command !== 'run') {
      const code = error instanceof MsiProxyError ? `${error.code}: ` : '';
      stderr.write(`${code}${messageOf(error)}\n`);
      // What goes wrong with it must not stand in for the error.
      stderr.write(await remedyLine(error, options).catch(() => ''));
    }
    return error instanceof SettingsError ? EXIT_CONFIG : EXIT_FAILURE;
  }
}

// Each command loads what it needs, so that `probe`, which is run for each wiring check, starts fast.

/** What to do about an error that says what it is. */
async function remedyLine(error: unknown, options: CommandOptions): Promise<string> {
  if (!(error instanceof MsiProxyError) || error instanceof SettingsError) return '';
  const { remedyOf } = await import('./remedies.ts');
  const host = error.code.startsWith('MSI_ENGINE_') ? await dockerHostOf(options) : '';
  return `→ ${remedyOf(error, { host, platform: options.platform })}\n`;
}

async function dockerHostOf(options: CommandOptions): Promise<string> {
  return (await settingsFor(options, { dockerHost: MONITOR_SETTINGS.dockerHost })).dockerHost;
}

/** For the commands that need a few of them. */
async function settingsFor<Table extends SettingsTable>(
  options: CommandOptions,
  part: Table,
): Promise<SettingsOf<Table>> {
  return (await loadSettings(MONITOR_CONFIGURATION, options, part)).values;
}

type OptionsOf<Command> = Extract<
  Invocation<typeof MONITOR_PROGRAM>,
  { readonly command: Command }
>['options'];

async function runUntilStopped(options: CommandOptions): Promise<number> {
  const { stdout, version, platform, selfArgv, processUsage, onStop, onDebugSwitch, onReload } = options;
  const logger = createLogger({ component: 'monitor', stream: stdout });
  const reloads = new ReloadRequests();
  onReload?.(() => reloads.request());
  // While neither the engine nor the address of the status is there, nothing else does.
  const keepsAlive = setInterval(() => undefined, ALIVE_MILLIS);
  try {
    const load = () => loadSettings(MONITOR_CONFIGURATION, options, MONITOR_SETTINGS);
    const loaded = await load();
    const settings = loaded.values;
    const logLevel = controlLogLevel(logger, settings.logLevel);
    onDebugSwitch?.(logLevel.toggle);
    const unseen = unseenFlags(loaded, {
      settings: MONITOR_SETTINGS,
      names: ['listen', 'dockerHost'],
      commands: 'status and doctor',
    });
    for (const warning of [...loaded.warnings, ...unseen]) logger.warn(warning);
    const stopRequested = new Promise<undefined>(resolve => {
      onStop(() => resolve(undefined));
    });
    const { run } = await import('./run.ts');
    const monitor = await run({
      settings,
      environment: options.environment,
      logger,
      version,
      platform,
      selfArgv,
      processUsage,
    });
    const apply = (changed: MonitorSettings) => {
      logLevel.setOwnLevel(changed.logLevel);
      monitor.reconfigure(changed);
    };
    reloads.serveWith(settingsReload({ configuration: MONITOR_CONFIGURATION, loaded, load, apply, logger }));
    const stop = async () => {
      logger.info('Stopping; wiring and packet rules stay in place');
      await monitor.stop();
    };
    await Promise.race([stopRequested, monitor.refused]).finally(stop);
    return EXIT_OK;
  } catch (error) {
    if (error instanceof SettingsError) {
      for (const { text, ...fields } of error.problems) logger.error(text, { code: error.code, ...fields });
    } else logger.error('The monitor could not start', { err: error });
    throw error;
  } finally {
    clearInterval(keepsAlive);
  }
}

async function status(options: CommandOptions, { json, watch }: OptionsOf<'status'>): Promise<number> {
  const { environment, stdout, onStop } = options;
  const [{ fetchStatus, formatStatus, watchStatus }, { createTerminal }] = await Promise.all([
    import('./status/index.ts'),
    import('./terminal/terminal.ts'),
  ]);
  const { listen } = await settingsFor(options, { listen: MONITOR_SETTINGS.listen });
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
  options: CommandOptions,
  container: string | undefined,
  { resource, identity, json }: OptionsOf<'doctor'>,
): Promise<number> {
  const { environment, stdout, platform, version, selfArgv } = options;
  const [{ runDoctor }, { createTerminal }] = await Promise.all([
    import('./doctor/doctor.ts'),
    import('./terminal/terminal.ts'),
  ]);
  return await runDoctor({
    settings: await settingsFor(options, MONITOR_SETTINGS),
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

async function explain(options: CommandOptions, container: string): Promise<number> {
  const { environment, stdout } = options;
  const [{ runExplain }, { createTerminal }] = await Promise.all([
    import('./explain/explain.ts'),
    import('./terminal/terminal.ts'),
  ]);
  const settings = await settingsFor(options, MONITOR_SETTINGS);
  await runExplain({ settings, container, terminal: createTerminal(stdout, environment) });
  return EXIT_OK;
}

/** For completion. */
async function containerNames(options: CommandOptions): Promise<string[]> {
  const { runningContainerNames } = await import('./docker/index.ts');
  return await runningContainerNames(await dockerHostOf(options));
}

async function unwire(options: CommandOptions, container: string | undefined): Promise<number> {
  const { stdout, platform } = options;
  const { unwire: remove } = await import('./unwire.ts');
  const settings = await settingsFor(options, MONITOR_SETTINGS);
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
