import { spawn } from 'node:child_process';

export interface CommandOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly stdin?: string;
  readonly timeoutMillis?: number;
  /** Sees standard error as it comes, for progress. */
  readonly onStderr?: (text: string) => void;
}

export type Argv = readonly [file: string, ...args: string[]];

/** A program that a test or the demo needed to succeed and that did not. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly output: CommandOutput;

  constructor(argv: Argv, output: CommandOutput) {
    const said = [output.stderr.trim(), output.stdout.trim()].find(text => text !== '') ?? 'no output';
    super(`"${argv.join(' ')}" failed with exit code ${output.exitCode}: ${said.slice(-2_000)}`);
    this.output = output;
  }
}

const DEFAULT_TIMEOUT_MILLIS = 120_000;

/** Runs a program and gives back its output, whatever its exit code. Killed when it exceeds its time (exit code 137). */
export async function runCommand(argv: Argv, options: CommandOptions = {}): Promise<CommandOutput> {
  const { timeoutMillis = DEFAULT_TIMEOUT_MILLIS, stdin = '', onStderr } = options;
  const [file, ...args] = argv;
  return await new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: options.cwd, env: options.env ?? process.env });
    // Not spawn's own time-out, which goes on after a program that could not be started.
    const timeout = setTimeout(() => child.kill('SIGKILL'), timeoutMillis);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      onStderr?.(chunk);
    });
    // A program that ends without reading its input is not an error of ours.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
    child.once('error', error => {
      clearTimeout(timeout);
      reject(new Error(`cannot run ${file}: ${error.message}`, { cause: error }));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timeout);
      resolve({ exitCode: code ?? (signal === 'SIGKILL' ? 137 : 143), stdout, stderr });
    });
  });
}

/**
 * Runs a program that has to succeed.
 *
 * @returns what it printed, without white space at the ends
 * @throws {CommandFailed} when its exit code is not 0
 */
export async function mustRun(argv: Argv, options?: CommandOptions): Promise<string> {
  const output = await runCommand(argv, options);
  if (output.exitCode !== 0) throw new CommandFailed(argv, output);
  return output.stdout.trim();
}
