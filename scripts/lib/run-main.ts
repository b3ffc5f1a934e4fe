import { EXIT_FAILURE } from '@msi-proxy/shared';
import { styled } from './terminal.ts';

/** Runs a script; what it throws is printed as a message, without a stack: most of it is for whoever typed the command. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(`${styled('red', '✗')} ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = EXIT_FAILURE;
  }
}
