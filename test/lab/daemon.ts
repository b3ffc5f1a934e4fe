import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { freeze, identify, isAlive, type ProcessIdentity, signal } from './processes.ts';
import { type Argv } from './run-command.ts';
import { waitUntil } from './wait-until.ts';

export interface DaemonOptions {
  readonly argv: Argv;
  readonly env?: NodeJS.ProcessEnv;
  /** Takes standard output and standard error. */
  readonly logFile: string;
}

export interface StopOptions {
  readonly signalName?: NodeJS.Signals;
  /** After this long the program is killed. */
  readonly timeoutMillis?: number;
}

/** A program in the background. It has a process group of its own: Ctrl-C ends it in order, through its owner. */
export class Daemon {
  readonly logFile: string;
  readonly #argv: Argv;
  readonly #identity: ProcessIdentity;

  private constructor(argv: Argv, logFile: string, identity: ProcessIdentity) {
    this.#argv = argv;
    this.logFile = logFile;
    this.#identity = identity;
  }

  static async start({ argv, env = process.env, logFile }: DaemonOptions): Promise<Daemon> {
    const [file, ...args] = argv;
    const log = openSync(logFile, 'a');
    try {
      const child = spawn(file, args, { env, stdio: ['ignore', log, log], detached: true });
      await new Promise((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', reject);
      });
      child.unref();
      const identity = identify(child.pid!);
      if (identity === undefined) throw new Error(`${argv.join(' ')} ended at once`);
      return new Daemon(argv, logFile, identity);
    } finally {
      closeSync(log);
    }
  }

  get pid(): number {
    return this.#identity.pid;
  }

  get running(): boolean {
    return isAlive(this.#identity);
  }

  get log(): string {
    // Not of a device, which has no end.
    return statSync(this.logFile).isFile() ? readFileSync(this.logFile, 'utf8') : '';
  }

  signal(name: NodeJS.Signals): void {
    signal(this.#identity, name);
  }

  /** Stops all of its threads. */
  freeze(): void {
    freeze(this.#identity);
  }

  /** Waits until the condition holds; fails at once, with the end of the log, when the program ends before. */
  async untilReady(condition: () => Promise<boolean>, timeoutMillis = 40_000): Promise<void> {
    const outcome = await waitUntil(
      async () => {
        if (!this.running) return 'ended';
        return (await condition().catch(() => false)) && 'ready';
      },
      { what: `"${this.#argv.join(' ')}" to be ready (log: ${this.logFile})`, timeoutMillis },
    );
    if (outcome === 'ended') {
      throw new Error(`"${this.#argv.join(' ')}" ended before it was ready:\n${this.log.slice(-3_000)}`);
    }
  }

  /** Asks the program to end and waits until it has; kills it when it takes longer than it may. */
  async stop({ signalName = 'SIGTERM', timeoutMillis = 10_000 }: StopOptions = {}): Promise<void> {
    this.signal(signalName);
    await waitUntil(() => !this.running, { what: `${this.#argv[0]} to end`, timeoutMillis }).catch(
      async () => {
        this.signal('SIGKILL');
        await waitUntil(() => !this.running, { what: `${this.#argv[0]} to die` });
      },
    );
  }
}
