import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { until } from './until.ts';

export const MAIN = join(import.meta.dirname, '../../../src/main.ts');

/** Settings with which the program runs anywhere, without rights. */
export function harmlessSettings(folder: string) {
  return {
    MSI_PROXY_LISTEN: '127.0.0.1:0',
    MSI_PROXY_IMDS_ADDRESS: '127.0.0.1:9',
    MSI_PROXY_ROUTE: 'off',
    MSI_PROXY_USER: 'root',
    MSI_PROXY_CONTROL_SOCKET: join(folder, 'run/control.sock'),
  };
}

export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'msi-proxy-'));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `msi-proxy` as a process of its own. */
export class Program {
  stdout = '';
  stderr = '';
  /** Of the process; a signal's name when one ended it. */
  readonly ended: Promise<number | string>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;

  constructor(argv: readonly string[], settings: Readonly<Record<string, string>>) {
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('MSI_PROXY_'));
    this.#child = spawn(process.execPath, ['--conditions=@msi-proxy/source', MAIN, ...argv], {
      env: { ...Object.fromEntries(environment), ...settings },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout.on('data', chunk => {
      this.stdout += String(chunk);
    });
    this.#child.stderr.on('data', chunk => {
      this.stderr += String(chunk);
    });
    this.#child.stdin.on('error', () => undefined); // it has ended
    this.ended = new Promise(resolve => {
      this.#child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stdin(): Writable {
    return this.#child.stdin;
  }

  get logLines(): Record<string, unknown>[] {
    return this.stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Record<string, unknown>);
  }

  /** Waits for the server. @returns its port */
  async ready(): Promise<number> {
    let port: unknown;
    await until(() => {
      if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.stdout}${this.stderr}`);
      port = this.stdout.includes('"Ready"')
        ? this.logLines.find(({ msg }) => msg === 'Ready')?.['port']
        : undefined;
      return port !== undefined;
    });
    return Number(port);
  }

  async logged(text: string): Promise<void> {
    await until(() => this.stdout.includes(text));
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it in any case. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** Runs a test with the program, which is gone afterwards. */
export async function withProgram(
  argv: readonly string[],
  settings: Readonly<Record<string, string>>,
  test: (program: Program) => Promise<void>,
): Promise<void> {
  const program = new Program(argv, settings);
  try {
    await test(program);
  } finally {
    await program.kill();
  }
}
