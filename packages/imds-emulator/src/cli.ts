import { once } from 'node:events';
import {
  codeOf,
  createLogger,
  effectiveSettings,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  messageOf,
  readSettings,
  unknownSettings,
  type Environment,
} from '@msi-proxy/shared';
import { openCommandLine } from '@msi-proxy/shared/command-line';
import { EMULATOR_PROGRAM } from './command-line.ts';
import { loadVirtualMachine } from './config/load-vm.ts';
import { EMULATOR_PREFIX, EMULATOR_SETTINGS, type EmulatorSettings } from './config/settings.ts';
import { createEmulator } from './emulator.ts';
import { isHealthy } from './healthcheck.ts';

export interface CliOptions {
  /** Without the program's own name. */
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly version: string;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Ends serving. */
  readonly signal: AbortSignal;
}

/** Runs the program. @returns its exit code */
export async function runCli(options: CliOptions): Promise<number> {
  const { environment, stderr } = options;
  const opened = await openCommandLine(EMULATOR_PROGRAM, options);
  if (typeof opened === 'number') return opened;
  try {
    const settings = readSettings(EMULATOR_SETTINGS, environment);
    switch (opened.command) {
      case 'serve':
        await serve(settings, options);
        return EXIT_OK;
      case 'healthcheck':
        return (await isHealthy(settings.controlListen)) ? EXIT_OK : EXIT_FAILURE;
    }
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
