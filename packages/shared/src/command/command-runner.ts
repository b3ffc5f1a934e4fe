import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { addAbortListener } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
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

/** A program that was started ahead and waits for its input, so that its start takes no time when it counts. */
export interface PreparedCommand {
  /** Gives it its input, once. As {@link CommandRunner.run}. */
  run(stdin: string): Promise<CommandResult>;
  /** Ends it without input. */
  cancel(): void;
}

/** Runs programs. An argv array, never a shell: ids, names and labels are hostile input. */
export interface CommandRunner {
  /**
   * @returns the result, also when the exit code is not 0
   * @throws {MsiProxyError} `MSI_WIRING_COMMAND` when the program cannot be started or exceeds its time;
   *   `MSI_WIRING_NO_CAPABILITY` when it is not installed
   */
  run(file: string, argv: readonly string[], options?: CommandOptions): Promise<CommandResult>;

  /** Absent where programs cannot be started ahead. What is prepared does not keep this process alive. */
  prepare?(file: string, argv: readonly string[]): PreparedCommand;

  /**
   * Absent where programs cannot be followed. Runs a program that goes on and prints what happens. It does not keep this
   * process alive.
   *
   * @returns settles when the program has ended; its `stdout` went to `onLine`
   * @throws {MsiProxyError} as {@link run}
   */
  follow?(file: string, argv: readonly string[], options: FollowOptions): Promise<CommandResult>;
}

export interface FollowOptions {
  readonly onLine: (line: string) => void;
  /** Ends the program. */
  readonly signal: AbortSignal;
}

/** The tools at hand take milliseconds; one that waits this long waits for a lock that nobody gives back. */
const DEFAULT_TIMEOUT_MILLIS = 10_000;

/** `iptables-save` of a machine with a thousand published ports prints below 1 MiB. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** Of a program that is followed, which may go on for months. */
const MAX_STDERR_CHARACTERS = 4_096;

/** As shells have it, 128 + SIGKILL: for a program that a signal ended. */
const KILLED_EXIT_CODE = 137;

/** Runs programs of the caller's own file system, found on its `PATH`. */
export const localCommandRunner: CommandRunner = {
  async run(file, argv, { stdin = '', timeoutMillis = DEFAULT_TIMEOUT_MILLIS } = {}) {
    const program = start(file, argv);
    return await program.finish(stdin, timeoutMillis);
  },

  prepare(file, argv) {
    const program = start(file, argv);
    program.setReferenced(false);
    return {
      run: async stdin => {
        program.setReferenced(true);
        return await program.finish(stdin, DEFAULT_TIMEOUT_MILLIS);
      },
      cancel: () => program.child.kill('SIGKILL'),
    };
  },

  async follow(file, argv, { onLine, signal }) {
    signal.throwIfAborted();
    // Without its pipes where no files are left for them.
    const child: ChildProcess = spawn(file, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = Promise.withResolvers<CommandResult>();
    let stderr = '';
    child.once('error', error => ended.reject(startFailure(file, error, undefined)));
    child.once('close', code => ended.resolve({ exitCode: code ?? KILLED_EXIT_CODE, stdout: '', stderr }));
    setReferenced(child, false);
    if (child.stdout) createInterface({ input: child.stdout }).on('line', onLine);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-MAX_STDERR_CHARACTERS);
    });
    const listener = addAbortListener(signal, () => child.kill('SIGKILL'));
    return await ended.promise.finally(() => listener[Symbol.dispose]());
  },
};

function start(file: string, argv: readonly string[]) {
  const ended = Promise.withResolvers<CommandResult>();
  let exceededMillis: number | undefined;
  const child = execFile(file, argv, { maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout, stderr) => {
    if (error === null) ended.resolve({ exitCode: 0, stdout, stderr });
    else if (typeof error.code === 'number') ended.resolve({ exitCode: error.code, stdout, stderr });
    else ended.reject(startFailure(file, error, exceededMillis));
  });
  // Of one that is prepared, nobody may ever ask.
  ended.promise.catch(() => undefined);
  // A program that ends without reading its input breaks the pipe; its exit code tells the story.
  child.stdin?.on('error', () => undefined);
  return {
    child,
    setReferenced: (referenced: boolean) => setReferenced(child, referenced),
    finish: async (stdin: string, timeoutMillis: number) => {
      const timer = setTimeout(() => {
        exceededMillis = timeoutMillis;
        child.kill('SIGKILL');
      }, timeoutMillis);
      child.stdin?.end(stdin);
      return await ended.promise.finally(() => clearTimeout(timer));
    },
  };
}

/** Whether this process goes on for the sake of the other one and its pipes. */
function setReferenced(child: ChildProcess, referenced: boolean): void {
  const pipes = [child.stdin, child.stdout, child.stderr] as (Socket | null)[];
  for (const handle of [child, ...pipes]) {
    if (referenced) handle?.ref();
    else handle?.unref();
  }
}

function startFailure(file: string, error: Error, exceededMillis: number | undefined): MsiProxyError {
  const details = { command: file };
  if (codeOf(error) === 'ENOENT') {
    return new MsiProxyError('MSI_WIRING_NO_CAPABILITY', `The program ${file} is not installed`, {
      cause: error,
      details,
    });
  }
  const reason =
    exceededMillis !== undefined
      ? `did not end within ${exceededMillis} ms`
      : `could not be run: ${messageOf(error)}`;
  return new MsiProxyError('MSI_WIRING_COMMAND', `${file} ${reason}`, { cause: error, details });
}
