import { codeOf, type CommandRunner, IMDS_ADDRESS, type Logger } from '@msi-proxy/shared';
import { commandFailure } from './command-failure.ts';

export interface ForgetFlowsOptions {
  readonly runner: CommandRunner;
  readonly logger: Logger;
  /** Only flows that were sent to this address. */
  readonly sentTo?: string;
}

/**
 * Makes the kernel forget the TCP connections to IMDS that it translates. Where a connection goes is decided by its
 * first packet: those to a proxy that is gone would go on to it, repeated SYNs included. Without the tool it is left
 * out, with a warning: new connections are right all the same.
 *
 * @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND`
 */
export async function forgetFlows({ runner, logger, sentTo }: ForgetFlowsOptions): Promise<void> {
  const argv = ['-D', '-p', 'tcp', '--orig-dst', IMDS_ADDRESS];
  if (sentTo !== undefined) argv.push('--reply-src', sentTo);
  try {
    const result = await runner.run('conntrack', argv);
    // Exit code 1 also says that there was nothing to delete.
    if (result.exitCode !== 0 && !result.stderr.includes('0 flow entries')) {
      throw commandFailure('conntrack', result, 'forget connections');
    }
  } catch (error) {
    if (codeOf(error) !== 'MSI_WIRING_NO_CAPABILITY') throw error;
    logger.warn('Open connections to a proxy that is gone end only when their clients give up', {
      err: error,
    });
  }
}
