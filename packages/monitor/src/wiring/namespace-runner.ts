import { type CommandResult, type CommandRunner, MsiProxyError } from '@msi-proxy/shared';
import { commandFailure } from '../command-failure.ts';

const NSENTER_COULD_NOT_EXECUTE = 127;

/**
 * Runs the monitor's own programs inside another network namespace.
 *
 * @param path of the namespace file
 * @returns a runner that also throws `MSI_NAMESPACE_GONE` when there is no namespace at the path any more
 */
export function namespaceRunner(runner: CommandRunner, path: string): CommandRunner {
  const inside = (file: string, argv: readonly string[]) => [`--net=${path}`, '--', file, ...argv];
  return {
    async run(file, argv, options) {
      return entered(await runner.run('nsenter', inside(file, argv), options), file, path);
    },
    ...(runner.prepare !== undefined && {
      prepare(file, argv) {
        const prepared = runner.prepare!('nsenter', inside(file, argv));
        return {
          run: async stdin => entered(await prepared.run(stdin), file, path),
          cancel: () => prepared.cancel(),
        };
      },
    }),
  };
}

function entered(result: CommandResult, file: string, path: string): CommandResult {
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
}
