import { once } from 'node:events';
import {
  codeOf,
  createLogger,
  effectiveSettings,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  EXIT_USAGE,
  messageOf,
  readSettings,
  settingsHelp,
  unknownSettings,
  type Environment,
} from '@msi-proxy/shared';
import { loadVirtualMachine } from './config/load-vm.ts';
import { EMULATOR_PREFIX, EMULATOR_SETTINGS, type EmulatorSettings } from './config/settings.ts';
import { createEmulator } from './emulator.ts';
import { isHealthy } from './healthcheck.ts';

export interface CliOptions {
  /** Without the program's own name. */
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Ends serving. */
  readonly signal: AbortSignal;
}

const HELP = `Usage: imds-emulator [serve]       serve an emulated Azure Instance Metadata Service
       imds-emulator healthcheck   exit 0 if an emulator answers at IMDS_EMULATOR_CONTROL_LISTEN
       imds-emulator --help

Settings (environment):
${settingsHelp(EMULATOR_SETTINGS)}
`;

/** Runs the program. @returns its exit code */
export async function runCli(options: CliOptions): Promise<number> {
  const { argv, environment, stdout, stderr } = options;
  const [command = 'serve', ...rest] = argv;
  if (command === '--help' || command === '-h' || command === 'help') {
    stdout.write(HELP);
    return EXIT_OK;
  }
  if ((command !== 'serve' && command !== 'healthcheck') || rest.length > 0) {
    stderr.write(`imds-emulator: unknown arguments: ${argv.join(' ')}\n\n${HELP}`);
    return EXIT_USAGE;
  }
  try {
    const settings = readSettings(EMULATOR_SETTINGS, environment);
    if (command === 'healthcheck') return (await isHealthy(settings.controlListen)) ? EXIT_OK : EXIT_FAILURE;
    await serve(settings, options);
    return EXIT_OK;
  } catch (error) {
    stderr.write(`imds-emulator: ${messageOf(error)}\n`);
    return codeOf(error) === 'MSI_SETTINGS_INVALID' ? EXIT_CONFIG : EXIT_FAILURE;
  }
}

async function serve(settings: EmulatorSettings, { environment, stdout, signal }: CliOptions): Promise<void> {
  const vm = await loadVirtualMachine(settings.configFile);
  const logger = createLogger({ component: 'imds-emulator', level: settings.logLevel, stream: stdout });
  const unknown = unknownSettings(EMULATOR_SETTINGS, environment, EMULATOR_PREFIX);
  if (unknown.length > 0) logger.warn('unknown settings are ignored', { settings: unknown });

  const emulator = createEmulator({
    vm,
    logger,
    rateLimits: settings.rateLimits === 'on',
    tokenLifetimeSeconds: settings.tokenLifetimeSeconds,
    scheduledEventsEnableMillis: settings.scheduledEventsEnableMillis,
  });
  const addresses = await emulator.start({
    listen: settings.listen,
    controlListen: settings.controlListen,
    ...(settings.vmExtensionListen && { vmExtensionListen: settings.vmExtensionListen }),
  });
  try {
    logger.info('serving', { ...addresses, settings: effectiveSettings(EMULATOR_SETTINGS, settings) });
    if (!signal.aborted) await once(signal, 'abort');
    logger.info('stopping');
  } finally {
    await emulator.stop();
  }
}
