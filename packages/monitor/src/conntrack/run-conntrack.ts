import { type CommandRunner, IMDS_ADDRESS } from '@msi-proxy/shared';
import { commandFailure } from '../command-failure.ts';

/**
 * Runs `conntrack` on the TCP connections to IMDS.
 *
 * @param verb `-L` to list, `-D` to delete
 * @param purpose for the message when it fails: `read connections`
 * @returns what it printed; nothing when there was no such connection
 * @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND`
 */
export async function runConntrack(
  runner: CommandRunner,
  verb: '-L' | '-D',
  filter: readonly string[],
  purpose: string,
): Promise<string> {
  const argv = [verb, '-p', 'tcp', '--orig-dst', IMDS_ADDRESS, ...filter];
  const result = await runner.run('conntrack', argv);
  // Exit code 1 also says that there was none.
  if (result.exitCode === 0 || result.stderr.includes('0 flow entries')) return result.stdout;
  throw commandFailure('conntrack', result, purpose);
}
