import { codeOf, type CommandResult, type CommandRunner, IMDS_ADDRESS, type Logger } from '@msi-proxy/shared';
import { commandFailure } from './command-failure.ts';

export interface ForgetFlowsOptions {
  readonly runner: CommandRunner;
  readonly logger: Logger;
  /** Only flows that were sent to this address. */
  readonly sentTo?: string;
  /** Flows that were sent there go on. */
  readonly except?: Destination;
}

export interface Destination {
  readonly address: string;
  readonly port: number;
}

const FLOWS_TO_IMDS: readonly string[] = ['-p', 'tcp', '--orig-dst', IMDS_ADDRESS];

/** A flow to IMDS, in the direction of its answers: the second source and the second source port of the line. */
const ANSWERS = /\bsrc=.*\bsrc=(?<address>\S+) .*\bsport=(?<port>\d+)/;

/** Each takes the start of a program. More, only a container could have made that may change its network itself. */
const MAX_DESTINATIONS = 8;

/**
 * Makes the kernel forget the TCP connections to IMDS that it translates. Where a connection goes is decided by its
 * first packet: those to a proxy that is gone would go on to it, repeated SYNs included. Without the tool it is left
 * out, with a warning: new connections are right all the same.
 *
 * @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND`
 */
export async function forgetFlows({ runner, logger, sentTo, except }: ForgetFlowsOptions): Promise<void> {
  try {
    if (except !== undefined) await forgetAllBut(runner, except);
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
async function forgetAllBut(runner: CommandRunner, kept: Destination): Promise<void> {
  const elsewhere = (await destinations(runner)).filter(
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

/** Where flows to IMDS go; those that nothing translates go to itself. */
async function destinations(runner: CommandRunner): Promise<Destination[]> {
  const argv = ['-L', ...FLOWS_TO_IMDS];
  const { stdout } = succeeded(await runner.run('conntrack', argv), 'read connections');
  const found = new Map<string, Destination>();
  for (const line of stdout.split('\n')) {
    const { address, port } = ANSWERS.exec(line)?.groups ?? {};
    if (address !== undefined) found.set(`${address}:${port}`, { address, port: Number(port) });
  }
  return [...found.values()];
}

async function forget(runner: CommandRunner, filter: readonly string[]): Promise<void> {
  succeeded(await runner.run('conntrack', ['-D', ...FLOWS_TO_IMDS, ...filter]), 'forget connections');
}

function succeeded(result: CommandResult, purpose: string): CommandResult {
  // Exit code 1 also says that there was nothing to delete.
  if (result.exitCode === 0 || result.stderr.includes('0 flow entries')) return result;
  throw commandFailure('conntrack', result, purpose);
}
