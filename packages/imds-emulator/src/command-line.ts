import { EXIT_FAILURE, EXIT_OK } from '@msi-proxy/shared';
import { COMMON_EXIT_CODES, defineProgram } from '@msi-proxy/shared/command-line';
import { EMULATOR_CONFIGURATION, EMULATOR_SETTINGS } from './config/settings.ts';

/** The command line of the emulator; parsing, help, completion and docs/commands.md come from here. */
export const EMULATOR_PROGRAM = defineProgram({
  name: 'imds-emulator',
  summary: 'stands in for Azure’s Instance Metadata Service (IMDS)',
  description: ['For tests, demos and laptops. Its tokens are real in form and good for nothing.'],
  defaultCommand: 'serve',
  configuration: EMULATOR_CONFIGURATION,
  commands: {
    serve: { summary: 'serve an emulated IMDS', settings: EMULATOR_SETTINGS },
    healthcheck: {
      summary: 'tell by the exit code whether an emulator answers at its control address',
      exitCodes: { [EXIT_OK]: 'it answers', [EXIT_FAILURE]: 'it does not' },
      settings: { controlListen: EMULATOR_SETTINGS.controlListen },
    },
  },
  exitCodes: COMMON_EXIT_CODES,
  examples: [
    {
      command: 'IMDS_EMULATOR_LISTEN=127.0.0.1:8169 imds-emulator',
      meaning: 'an emulated IMDS on this machine',
    },
  ],
});
