import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import { readFileSync } from 'node:fs';
import { runCommand } from '../../test/lab/index.ts';

/** Where and with what the figures were taken. */
export interface Machine {
  readonly cpu: string;
  readonly cpuCount: number;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  readonly distribution: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Runnable processes, on average of one minute, before the first run: a quiet machine has 0. */
  readonly loadBefore: number;
}

const VERSION_COMMANDS = {
  nginx: ['nginx', '-v'],
  HAProxy: ['haproxy', '-v'],
  wrk: ['wrk', '-v'],
} as const;

export async function describeMachine(): Promise<Machine> {
  const versions: Record<string, string> = { Node: process.versions.node };
  for (const [name, argv] of Object.entries(VERSION_COMMANDS)) {
    const { stdout, stderr } = await runCommand(argv);
    versions[name] = /\d+\.\d[\w.+~-]*/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown';
  }
  const osRelease = readFileSync('/etc/os-release', 'utf8');
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpuCount: cpus().length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    kernel: `${release()} ${arch()}`,
    distribution: /^PRETTY_NAME="(.*)"$/m.exec(osRelease)?.[1] ?? 'unknown',
    versions,
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** A few lines for docs/benchmarks.md. */
export function machineText(machine: Machine, measuredAt: Date): string {
  const { cpu, cpuCount, memoryGigabytes, kernel, distribution, versions, loadBefore } = machine;
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `- Machine: ${cpuCount} × ${cpu}, ${memoryGigabytes} GB, ${distribution}, Linux ${kernel}.`,
    `- Programs: ${programs.join(', ')}.`,
    `- Measured on ${measuredAt.toISOString().slice(0, 10)}; load of the machine before it (one minute): ${loadBefore.toFixed(1)}.`,
  ].join('\n');
}
