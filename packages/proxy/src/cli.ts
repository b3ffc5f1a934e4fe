import type { Readable, Writable } from 'node:stream';
import {
  createLogger,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  EXIT_USAGE,
  localCommandRunner,
  messageOf,
  MsiProxyError,
  parseIdentity,
  readSettings,
  settingsHelp,
  SettingsError,
  silentLogger,
  systemClock,
  type Environment,
  type IdentityRef,
  type Logger,
} from '@msi-proxy/shared';
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
  /** Calls back at the first request to end; the second one ends the process at once. */
  readonly onStop: (stop: () => void) => void;
}

const HELP = `Usage: msi-proxy [command]

Relays instance metadata and managed-identity requests of containers to Azure's IMDS, by policy.

Commands:
  serve         serve containers (default)
  control       join a monitor, on standard input and output, to the server in this container
  healthcheck   exit with 0 when the server in this container is well
  tokens        list the tokens that the server in this container keeps (never the tokens themselves);
                with --json as JSON
  tokens flush  drop them, so that IMDS is asked again; with --identity X only those of that identity, written as in
                the labels

Options:
  --help        show this text
  --version     show the version

Settings, from the environment:
`;

/** @returns the exit code */
export async function runCli(options: CliOptions): Promise<number> {
  const { argv, stdout, stderr, version } = options;
  const [command = 'serve', ...rest] = argv;
  if (command === '--help' || command === '-h' || command === 'help') {
    stdout.write(`${HELP}${settingsHelp(PROXY_SETTINGS)}\n`);
    return EXIT_OK;
  }
  if (command === '--version') {
    stdout.write(`${version}\n`);
    return EXIT_OK;
  }
  const tokens = command === 'tokens' ? parseTokensArguments(rest) : undefined;
  if (tokens === undefined && (rest.length > 0 || !['serve', 'control', 'healthcheck'].includes(command))) {
    stderr.write(
      `MSI_USAGE: unknown command or option "${[command, ...rest].join(' ')}"; see msi-proxy --help\n`,
    );
    return EXIT_USAGE;
  }
  try {
    if (tokens !== undefined) return await administerTokens(tokens, options);
    if (command === 'control') return await control(options);
    if (command === 'healthcheck') return await health(options);
    return await serveUntilStopped(options);
  } catch (error) {
    if (command !== 'serve') stderr.write(`${messageOf(error)}\n`);
    return error instanceof SettingsError ? EXIT_CONFIG : EXIT_FAILURE;
  }
}

async function serveUntilStopped({
  environment,
  identity,
  platform,
  version,
  onStop,
}: CliOptions): Promise<number> {
  const logger = createLogger({ component: 'proxy' });
  // First of all: the kernel drops signals to a container's first process that it does not listen for.
  const stopRequested = new Promise<void>(resolve => {
    onStop(resolve);
  });
  try {
    const settings = readSettings(PROXY_SETTINGS, environment);
    logger.setLevel(settings.logLevel);
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
  const { controlSocket } = readSettings({ controlSocket: PROXY_SETTINGS.controlSocket }, environment);
  return await runControl({
    socketPath: controlSocket,
    stdin,
    stdout,
    stderr,
    clock: systemClock,
    setRoute: wanted => moveRoute(wanted, { runner: localCommandRunner, logger: silentLogger, platform }),
  });
}

async function health({ environment }: CliOptions): Promise<number> {
  const { healthcheck } = await import('./healthcheck.ts');
  const { listen } = readSettings({ listen: PROXY_SETTINGS.listen }, environment);
  return await healthcheck(listen);
}

type TokensArguments =
  | { readonly kind: 'list'; readonly format: 'json' | 'table' }
  | { readonly kind: 'flush'; readonly identity: IdentityRef | undefined };

function parseTokensArguments(argv: readonly string[]): TokensArguments | undefined {
  const [first, option, value, ...rest] = argv;
  if (argv.length === 0) return { kind: 'list', format: 'table' };
  if (first === '--json' && argv.length === 1) return { kind: 'list', format: 'json' };
  if (first !== 'flush') return undefined;
  if (argv.length === 1) return { kind: 'flush', identity: undefined };
  const identity = option === '--identity' && rest.length === 0 ? parseIdentity(value ?? '') : undefined;
  return identity && { kind: 'flush', identity };
}

async function administerTokens(
  wanted: TokensArguments,
  { environment, stdout }: CliOptions,
): Promise<number> {
  const { flushTokens, listTokens } = await import('./control/tokens-command.ts');
  const { controlSocket } = readSettings({ controlSocket: PROXY_SETTINGS.controlSocket }, environment);
  const command = { socketPath: controlSocket, clock: systemClock, stdout };
  if (wanted.kind === 'list') await listTokens(command, wanted.format);
  else await flushTokens(command, wanted.identity);
  return EXIT_OK;
}
