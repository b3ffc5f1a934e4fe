import type { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import {
  createLogger,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  EXIT_USAGE,
  messageOf,
  MsiProxyError,
  readSettings,
  settingsHelp,
  SettingsError,
  type Environment,
} from '@msi-proxy/shared';
import { MONITOR_SETTINGS } from './config.ts';

/** What the command line needs of the process. */
export interface CliOptions {
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly version: string;
  /** As Node names it. */
  readonly platform: string;
  readonly selfArgv: readonly [file: string, ...argv: string[]];
  /** Calls back at the first request to end; the second one ends the process at once. */
  readonly onStop: (stop: () => void) => void;
}

const HELP = `Usage: msi-monitor <command> [options]

Follows Docker on this VM and brings the metadata requests of labelled containers to the proxy.

Commands:
  run                          follow Docker until stopped; wiring stays in place afterwards
  status [--json]              show what the running monitor knows
  unwire <container> | --all   take the wiring of a container away, or everything with the rules of the VM
  probe                        ask whoever answers at 169.254.169.254 here whether it is a proxy

Options:
  --help                       show this text
  --version                    show the version

Settings, from the environment:
`;

/** @returns the exit code */
export async function runCli(options: CliOptions): Promise<number> {
  const { argv, stdout, stderr, version } = options;
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
        json: { type: 'boolean' },
        all: { type: 'boolean' },
      },
    });
  } catch (error) {
    return usage(stderr, messageOf(error));
  }
  const { values: flags, positionals } = parsed;
  const [command, ...rest] = positionals;
  if (flags.help === true || (command === undefined && flags.version !== true)) {
    stdout.write(`${HELP}${settingsHelp(MONITOR_SETTINGS)}\n`);
    return flags.help === true ? EXIT_OK : EXIT_USAGE;
  }
  if (flags.version === true) {
    stdout.write(`${version}\n`);
    return EXIT_OK;
  }
  try {
    switch (command ?? '') {
      case 'run':
        return await runUntilStopped(options);
      case 'status':
        return await status(options, flags.json === true);
      case 'unwire':
        if ((rest.length === 1) === (flags.all === true))
          return usage(stderr, 'unwire takes a container, or --all');
        return await unwire(options, rest[0]);
      case 'probe':
        return await probe(options);
      default:
        return usage(stderr, `unknown command "${command ?? ''}"`);
    }
  } catch (error) {
    const code = error instanceof MsiProxyError ? `${error.code}: ` : '';
    if (command !== 'run') stderr.write(`${code}${messageOf(error)}\n`);
    return error instanceof SettingsError ? EXIT_CONFIG : EXIT_FAILURE;
  }
}

function usage(stderr: Writable, text: string): number {
  stderr.write(`MSI_USAGE: ${text}; see msi-monitor --help\n`);
  return EXIT_USAGE;
}

// Each command loads what it needs, so that `probe`, which is run for each wiring check, starts fast.

async function runUntilStopped({
  environment,
  version,
  platform,
  selfArgv,
  onStop,
}: CliOptions): Promise<number> {
  const logger = createLogger({ component: 'monitor' });
  try {
    const settings = readSettings(MONITOR_SETTINGS, environment);
    logger.setLevel(settings.logLevel);
    const stopRequested = new Promise<undefined>(resolve => {
      onStop(() => resolve(undefined));
    });
    const { run } = await import('./run.ts');
    const monitor = await run({ settings, environment, logger, version, platform, selfArgv });
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

async function status({ environment, stdout }: CliOptions, asJson: boolean): Promise<number> {
  const { fetchStatus, formatStatus } = await import('./status/index.ts');
  const { listen } = readSettings({ listen: MONITOR_SETTINGS.listen }, environment);
  const current = await fetchStatus(listen);
  stdout.write(asJson ? `${JSON.stringify(current, undefined, 2)}\n` : formatStatus(current));
  return EXIT_OK;
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
