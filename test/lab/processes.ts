import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process for as long as it lives: ids are used again, but not with the same start time. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/<pid>/stat. */
  readonly startTicks: number;
}

const FREEZE_MILLIS = 2_000;

export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readProc(pid, 'stat');
  if (stat === undefined) return undefined;
  // The second field is the command in parentheses and may hold anything, so count from the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : { pid, startTicks: Number(fields[19]) };
}

export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  return identify(pid)?.startTicks === startTicks;
}

/** Sends the signal if this very process still lives. */
export function signal(process_: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(process_)) return;
  try {
    process.kill(process_.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Stops the process, and comes back when none of its threads runs any more: the signal alone takes a moment. */
export function freeze(process_: ProcessIdentity): void {
  signal(process_, 'SIGSTOP');
  const deadline = performance.now() + FREEZE_MILLIS;
  while (isAlive(process_) && !threadStates(process_.pid).every(state => state === 'T')) {
    if (performance.now() > deadline) throw new Error(`process ${process_.pid} does not stop`);
  }
}

function threadStates(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map(thread => {
    const stat = readProc(pid, `task/${thread}/stat`);
    // A thread that has just ended.
    if (stat === undefined) return 'T';
    return stat.slice(stat.lastIndexOf(')') + 2).charAt(0);
  });
}

/** The processes for which the question is answered with yes; never this one. */
export function findProcesses(matches: (pid: number) => boolean): ProcessIdentity[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => pid !== process.pid && matches(pid))
    .flatMap(pid => identify(pid) ?? []);
}

export function commandLineOf(pid: number): readonly string[] {
  return readProc(pid, 'cmdline')?.split('\0') ?? [];
}

/** Paths of the control groups of a process, one for each hierarchy. */
export function cgroupsOf(pid: number): readonly string[] {
  const lines = readProc(pid, 'cgroup')?.trim().split('\n') ?? [];
  return lines.map(line => line.split(':').slice(2).join(':'));
}

/** The network namespace of a process as `net:[inode]`. */
export function networkNamespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}
