import { type CommandRunner, MsiProxyError } from '@msi-proxy/shared';
import { commandFailure } from '../command-failure.ts';

const NSENTER_COULD_NOT_EXECUTE = 127;

/**
 * Runs the monitor's own programs inside another network namespace.
 *
 * @param path of the namespace file
 * @returns a runner that also throws `MSI_NAMESPACE_GONE` when there is no namespace at the path any more
 */
export function namespaceRunner(runner: CommandRunner, path: string): CommandRunner {
  return {
    async run(file, argv, options) {
      const result = await runner.run('nsenter', [`--net=${path}`, '--', file, ...argv], options);
      if (result.exitCode === 0 || !result.stderr.startsWith('nsenter: ')) return result;
      if (result.exitCode === NSENTER_COULD_NOT_EXECUTE) {
        throw new MsiProxyError('MSI_WIRING_NO_CAPABILITY', `The program ${file} is not installed`, {
          details: { command: file },
        });
      }
      const failure = commandFailure('nsenter', result, 'enter the network namespace');
      if (failure.code === 'MSI_WIRING_NO_CAPABILITY') throw failure;
      throw new MsiProxyError('MSI_NAMESPACE_GONE', `There is no network namespace at ${path}`, {
        details: failure.details,
      });
    },
  };
}
