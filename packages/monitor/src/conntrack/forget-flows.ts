import { codeOf, type CommandRunner, type Logger } from '@msi-proxy/shared';
import { readDestinations, type Destination } from './flow-destinations.ts';
import { runConntrack } from './run-conntrack.ts';

export interface ForgetFlowsOptions {
  readonly runner: CommandRunner;
  readonly logger: Logger;
  /** Only flows that were sent to this address. */
  readonly sentTo?: string;
  /** Flows that were sent there go on. */
  readonly except?: Destination;
  /** A process in the network namespace that the runner's programs run in; see {@link readDestinations}. */
  readonly pid?: number;
}

/** Each takes the start of a program. More, only a container could have made that may change its network itself. */
const MAX_DESTINATIONS = 8;

/**
 * Makes the kernel forget the TCP connections to IMDS that it translates. Where a connection goes is decided by its
 * first packet: those to a proxy that is gone would go on to it, repeated SYNs included. Without the tool it is left
 * out, with a warning: new connections are right all the same.
 *
 * @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND`
 */
export async function forgetFlows(options: ForgetFlowsOptions): Promise<void> {
  const { runner, logger, sentTo, except } = options;
  try {
    if (except !== undefined) await forgetAllBut(except, options);
    else await forget(runner, sentTo === undefined ? [] : ['--reply-src', sentTo]);
  } catch (error) {
    if (codeOf(error) !== 'MSI_WIRING_NO_CAPABILITY') throw error;
    logger.warn('Open connections to a proxy that is gone end only when their clients give up', {
      err: error,
    });
  }
}

/**
 * One by one where they go: the answer to a request whose flow is forgotten would never reach the client, and it may have
 * been sent already by the rules that have just been loaded.
 */
async function forgetAllBut(kept: Destination, { runner, pid }: ForgetFlowsOptions): Promise<void> {
  const elsewhere = (await readDestinations(runner, pid)).filter(
    ({ address, port }) => address !== kept.address || port !== kept.port,
  );
  if (elsewhere.length > MAX_DESTINATIONS) {
    await forget(runner, []);
    return;
  }
  for (const { address, port } of elsewhere) {
    await forget(runner, ['--reply-src', address, '--reply-port-src', String(port)]);
  }
}

async function forget(runner: CommandRunner, filter: readonly string[]): Promise<void> {
  await runConntrack(runner, '-D', filter, 'forget connections');
}
