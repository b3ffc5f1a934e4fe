import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { type Argv } from './run-command.ts';

const READY_LINE = 'ready\n';

/** A program that has loaded all that it needs, says so, and waits for a line on its standard input to go on. */
export class WaitingProgram {
  readonly #child: ChildProcessWithoutNullStreams;
  #stdout = '';
  #stderr = '';

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    child.stdin.on('error', () => {}); // its exit tells
  }

  /** Settles when it waits. */
  static async start(argv: Argv, env: NodeJS.ProcessEnv): Promise<WaitingProgram> {
    const [file, ...args] = argv;
    const program = new WaitingProgram(spawn(file, args, { env }));
    while (!program.#stdout.startsWith(READY_LINE)) {
      const [, code] = await Promise.race([
        once(program.#child.stdout, 'data'),
        once(program.#child, 'close').then(([exitCode]: unknown[]) => [undefined, exitCode]),
      ]);
      if (code !== undefined) throw new Error(`"${argv.join(' ')}" ended: ${program.#stderr}`);
    }
    return program;
  }

  /** @returns what it printed from now to its end, whatever its exit code */
  async go(): Promise<string> {
    const closed = once(this.#child, 'close');
    this.#child.stdin.end('\n');
    await closed;
    return this.#stdout.slice(READY_LINE.length);
  }
}
