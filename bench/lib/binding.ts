import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import type { Argv } from '../../test/lab/index.ts';

/** CPUs as `taskset` lists them. */
export type CpuList = string;

/** Also of a process that is bound to less. */
const ALL_CPUS: CpuList = `0-${cpus().length - 1}`;

/** The program on these CPUs only, or on all. taskset replaces itself by it, so the process id is the program's. */
export function boundTo(allowed: CpuList | undefined, argv: Argv): Argv {
  return ['taskset', '--cpu-list', allowed ?? ALL_CPUS, ...argv];
}

/** Binds this process with all its threads: it answers the proxy's questions, and must not do so on the CPU that is measured. */
export function bindSelf(allowed: CpuList): void {
  execFileSync('taskset', ['--all-tasks', '--pid', '--cpu-list', allowed, String(process.pid)], {
    stdio: 'ignore',
  });
}

/** The program before all others on its CPUs, or as it is where that is not allowed. */
export function beforeAllOthers(argv: Argv): Argv {
  return (mayGoFirst ??= canGoFirst()) ? ['chrt', '--fifo', '1', ...argv] : argv;
}

let mayGoFirst: boolean | undefined;

function canGoFirst(): boolean {
  try {
    execFileSync('chrt', ['--fifo', '1', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
