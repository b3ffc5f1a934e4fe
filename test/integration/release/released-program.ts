import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { until } from '@msi-proxy/shared/testing';

/** A program of an installed package as a process, ended by `await using`. */
export class ReleasedProgram implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #ended: Promise<unknown>;
  #output = '';

  private constructor(argv: readonly string[], settings: Readonly<Record<string, string>>) {
    // Nothing of this test run: the package has to work in a plain Node.
    const env = { PATH: process.env['PATH'], ...settings };
    this.#child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', chunk => (this.#output += String(chunk)));
  }

  static start(
    project: string,
    [name, ...argv]: readonly [name: string, ...argv: string[]],
    settings: Readonly<Record<string, string>>,
  ): ReleasedProgram {
    return new ReleasedProgram([join(project, 'node_modules/.bin', name), ...argv], settings);
  }

  /** Waits for a line of the log with this message, and gives it back. */
  async logged<Line>(message: string): Promise<Line> {
    let found: string | undefined;
    await until(() => {
      if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.#output}`);
      found = this.#output
        .split('\n')
        .find(line => line.includes(`"msg":"${message}"`) && line.endsWith('}'));
      return found !== undefined;
    });
    return JSON.parse(found!) as Line;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
