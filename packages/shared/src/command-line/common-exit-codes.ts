import { EXIT_CONFIG, EXIT_FAILURE, EXIT_OK, EXIT_USAGE } from '../errors/exit-codes.ts';
import type { ExitCodes } from './program.ts';

/** What exit codes mean wherever a command says nothing else. */
export const COMMON_EXIT_CODES = {
  [EXIT_OK]: 'success',
  [EXIT_FAILURE]: 'failure; the message says what of',
  [EXIT_USAGE]: 'the command line is not as expected',
  [EXIT_CONFIG]: 'a setting has a value that cannot be used',
} as const satisfies ExitCodes;
