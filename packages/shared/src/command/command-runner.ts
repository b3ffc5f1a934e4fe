import { execFile } from 'node:child_process';
import { codeOf, messageOf, MsiProxyError } from '../errors/msi-proxy-error.ts';

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly stdin?: string;
  readonly timeoutMillis?: number;
}

/** Runs programs. An argv array, never a shell: ids, names and labels are hostile input. */
export interface CommandRunner {
  /**
   * @returns the result, also when the exit code is not 0
   * @throws {MsiProxyError} `MSI_WIRING_COMMAND` when the program cannot be started or exceeds its time;
   *   `MSI_WIRING_NO_CAPABILITY` when it is not installed
   */
  run(file: string, argv: readonly string[], options?: CommandOptions): Promise<CommandResult>;
}

/** The tools at hand take milliseconds; one that waits this long waits for a lock that nobody gives back. */
const DEFAULT_TIMEOUT_MILLIS = 10_000;

/** `iptables-save` of a machine with a thousand published ports prints below 1 MiB. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** Runs programs of the caller's own file system, found on its `PATH`. */
export const localCommandRunner: CommandRunner = {
  async run(file, argv, { stdin = '', timeoutMillis = DEFAULT_TIMEOUT_MILLIS } = {}) {
    return await new Promise((resolve, reject) => {
      const child = execFile(
        file,
        argv,
        { timeout: timeoutMillis, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES },
        (error, stdout, stderr) => {
          if (error === null) resolve({ exitCode: 0, stdout, stderr });
          else if (typeof error.code === 'number') resolve({ exitCode: error.code, stdout, stderr });
          else reject(startFailure(file, error, timeoutMillis));
        },
      );
      // A program that ends without reading its input breaks the pipe; its exit code tells the story.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(stdin);
    });
  },
};

function startFailure(
  file: string,
  error: Error & { killed?: boolean },
  timeoutMillis: number,
): MsiProxyError {
  const details = { command: file };
  if (codeOf(error) === 'ENOENT') {
    return new MsiProxyError('MSI_WIRING_NO_CAPABILITY', `The program ${file} is not installed`, {
      cause: error,
      details,
    });
  }
  const reason =
    error.killed === true && codeOf(error) === undefined
      ? `did not end within ${timeoutMillis} ms`
      : `could not be run: ${messageOf(error)}`;
  return new MsiProxyError('MSI_WIRING_COMMAND', `${file} ${reason}`, { cause: error, details });
}
