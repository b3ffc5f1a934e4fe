import { once } from 'node:events';
import type { Writable } from 'node:stream';
import {
  codeOf,
  controlLogLevel,
  createLogger,
  effectiveSettings,
  EXIT_CONFIG,
  EXIT_FAILURE,
  EXIT_OK,
  loadSettings,
  messageOf,
  ReloadRequests,
  settingsReload,
  type Environment,
  type SettingFlags,
} from '@msi-proxy/shared';
import { openCommandLine } from '@msi-proxy/shared/command-line';
import { EMULATOR_PROGRAM } from './command-line.ts';
import { loadVirtualMachine } from './config/load-vm.ts';
import { EMULATOR_CONFIGURATION, EMULATOR_SETTINGS } from './config/settings.ts';
import { createEmulator } from './emulator.ts';
import { isHealthy } from './healthcheck.ts';

export interface CliOptions {
  /** Without the program's own name. */
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly version: string;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** As Node names it. */
  readonly platform: string;
  /** Ends serving. */
  readonly signal: AbortSignal;
  /** Calls back whenever the settings file should be read again. */
  readonly onReload?: (reload: () => void) => void;
}

/** With what the command line says of settings. */
interface CommandOptions extends CliOptions {
  readonly flags: SettingFlags;
}

/** Runs the program. @returns its exit code */
export async function runCli(cli: CliOptions): Promise<number> {
  const opened = await openCommandLine(EMULATOR_PROGRAM, cli);
  if (typeof opened === 'number') return opened;
  const options: CommandOptions = { ...cli, flags: opened.settings.flags };
  try {
    switch (opened.command) {
      case 'serve':
        await serve(options);
        return EXIT_OK;
      case 'healthcheck':
        return await healthcheck(options);
    }
  } catch (error) {
    cli.stderr.write(`imds-emulator: ${messageOf(error)}\n`);
    return codeOf(error) === 'MSI_SETTINGS_INVALID' ? EXIT_CONFIG : EXIT_FAILURE;
  }
}

async function healthcheck(options: CommandOptions): Promise<number> {
  const part = { controlListen: EMULATOR_SETTINGS.controlListen };
  const { values } = await loadSettings(EMULATOR_CONFIGURATION, options, part);
  return (await isHealthy(values.controlListen)) ? EXIT_OK : EXIT_FAILURE;
}

async function serve(options: CommandOptions): Promise<void> {
  const { stdout, signal, onReload } = options;
  const reloads = new ReloadRequests();
  onReload?.(() => reloads.request());
  const load = () => loadSettings(EMULATOR_CONFIGURATION, options, EMULATOR_SETTINGS);
  const loaded = await load();
  const settings = loaded.values;
  const vm = await loadVirtualMachine(settings.vmFile);
  const logger = createLogger({ component: 'imds-emulator', stream: stdout });
  const logLevel = controlLogLevel(logger, settings.logLevel);
  for (const warning of loaded.warnings) logger.warn(warning);

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
    reloads.serveWith(
      settingsReload({
        configuration: EMULATOR_CONFIGURATION,
        loaded,
        load,
        apply: changed => logLevel.setOwnLevel(changed.logLevel),
        logger,
      }),
    );
    logger.info('serving', { ...addresses, settings: effectiveSettings(EMULATOR_SETTINGS, settings) });
    if (!signal.aborted) await once(signal, 'abort');
    logger.info('stopping');
  } finally {
    await emulator.stop();
  }
}
