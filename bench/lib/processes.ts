import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { waitUntil, type Argv } from '../../test/lab/index.ts';
import { boundTo, type CpuList } from './binding.ts';

/** Of Linux on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
const STOP_TIMEOUT_MILLIS = 10_000;

/** Those that run; none may outlive the benchmarks. */
const running = new Set<PinnedProcess>();
process.on('exit', () => {
  for (const each of running) each.kill();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

/** Processor time and memory of a program with all processes that it has started. */
export interface Usage {
  readonly cpuMillis: number;
  /** Resident, of all processes; what they share counts in each. */
  readonly residentBytes: number;
}

export interface PinnedProcessOptions {
  readonly argv: Argv;
  /** Where it may run; everywhere when absent. */
  readonly cpus?: CpuList | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** Its standard output is a protocol, not text to keep. */
  readonly onOutput?: (chunk: Buffer) => void;
}

/** A program that runs on given CPUs only and whose use of them is read from /proc. */
export class PinnedProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<void>;
  readonly #name: string;
  #output = '';
  #exit: string | undefined;

  constructor({ argv, cpus, env, onOutput }: PinnedProcessOptions) {
    this.#name = argv.join(' ');
    const [file, ...args] = boundTo(cpus, argv);
    this.#child = spawn(file, args, { env: env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString('utf8')).slice(-64 * 1024);
    };
    this.#child.stdout.on('data', onOutput ?? keep);
    this.#child.stderr.on('data', keep);
    this.#child.stdin.on('error', () => undefined); // it has ended
    running.add(this);
    this.#ended = new Promise(resolve => {
      this.#child.once('error', error => {
        this.#exit = error.message;
        resolve();
      });
      this.#child.once('close', (code, signal) => {
        this.#exit ??= `exit code ${code ?? signal}`;
        running.delete(this);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** How it has ended; undefined while it runs. */
  get exit(): string | undefined {
    return this.#exit;
  }

  get stdin(): Writable {
    return this.#child.stdin;
  }

  get output(): string {
    return this.#output;
  }

  /** Waits until it is of use; says what it printed when it ends before. */
  async ready(isReady: () => Promise<boolean> | boolean): Promise<this> {
    await waitUntil(
      async () => {
        if (this.#exit !== undefined) return true;
        return await isReady();
      },
      { what: this.#name, intervalMillis: 2 },
    );
    if (this.#exit !== undefined) throw new Error(`${this.#name} ended: ${this.#exit}: ${this.#output}`);
    return this;
  }

  usage(): Usage {
    return usageOf(this.pid);
  }

  kill(): void {
    this.#child.kill('SIGTERM');
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MILLIS);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** What a process and all below it have used until now. */
export function usageOf(pid: number): Usage {
  const own = { cpuMillis: cpuMillisOf(pid), residentBytes: residentBytesOf(pid) };
  return childrenOf(pid)
    .map(usageOf)
    .reduce(
      (sum, each) => ({
        cpuMillis: sum.cpuMillis + each.cpuMillis,
        residentBytes: sum.residentBytes + each.residentBytes,
      }),
      own,
    );
}

function cpuMillisOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // proc(5): fields 14 and 15; the second one, the name, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}

function residentBytesOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}
