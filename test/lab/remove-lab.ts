import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { forgetRecord, listRecords, type LabRecord } from './lab-record.ts';
import {
  cgroupsOf,
  commandLineOf,
  findProcesses,
  isAlive,
  networkNamespaceOf,
  signal,
  type ProcessIdentity,
} from './processes.ts';
import { mustRun } from './run-command.ts';
import { waitUntil } from './wait-until.ts';

/**
 * Removes every trace of a lab, whatever state it is in: nothing here asks the engine, which may hang or be gone.
 * The same way is gone at an orderly end and after an interrupted run.
 */
export async function removeLab(record: LabRecord): Promise<void> {
  // The engine first, so that it restarts nothing. What is paused does not die before it is thawed.
  await endAll(() => findProcesses(pid => runsEngineOf(record, pid)));
  thawControlGroups(record.cgroupParent);
  await endAll(() => processesOf(record));
  for (const mountPoint of mountPointsBelow(record.directory)) await mustRun(['umount', '-l', mountPoint]);
  for (const namespace of record.namespaces) {
    if (existsSync(namespacePath(namespace))) await mustRun(['ip', 'netns', 'delete', namespace]);
  }
  removeControlGroups(record.cgroupParent);
  await rm(record.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  forgetRecord(record);
}

/** Removes the labs whose owner is gone, and on request also those that were kept on purpose. */
export async function removeAbandonedLabs({ alsoKept = false } = {}): Promise<LabRecord[]> {
  const abandoned = listRecords().filter(record => (record.kept ? alsoKept : !isAlive(record.owner)));
  for (const record of abandoned) await removeLab(record);
  return abandoned;
}

export function namespacePath(name: string): string {
  return `/var/run/netns/${name}`;
}

/** The engine, containerd and its shims, told from those of others by the lab's folder in their command line. */
function runsEngineOf({ directory }: LabRecord, pid: number, programs = /^dockerd$/): boolean {
  const [file = '', ...words] = commandLineOf(pid);
  return programs.test(basename(file)) && words.some(word => word.includes(`${directory}/`));
}

/** By what is the lab's own: the engine's folder, the containers' control group, the network namespaces. */
function processesOf(record: LabRecord): ProcessIdentity[] {
  const namespaces = networkNamespacesOf(record);
  return findProcesses(
    pid =>
      runsEngineOf(record, pid, /^containerd(-shim.*)?$/) ||
      cgroupsOf(pid).some(path => path.startsWith(`${record.cgroupParent}/`)) ||
      namespaces.has(networkNamespaceOf(pid) ?? ''),
  );
}

function networkNamespacesOf({ namespaces }: LabRecord): ReadonlySet<string> {
  const found = new Set<string>();
  for (const path of namespaces.map(namespacePath)) {
    if (existsSync(path)) found.add(`net:[${statSync(path).ino}]`);
  }
  // Before a namespace is mounted at its path, the path is a file like any other: never match our own namespace.
  found.delete(readlinkSync('/proc/self/ns/net'));
  return found;
}

async function endAll(find: () => ProcessIdentity[]): Promise<void> {
  await waitUntil(
    () => {
      const left = find();
      for (const found of left) signal(found, 'SIGKILL');
      return left.length === 0;
    },
    { what: 'the processes of the lab to end' },
  );
}

/** Innermost first. */
function mountPointsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[4] ?? '')
    .filter(mountPoint => mountPoint.startsWith(`${directory}/`))
    .reverse();
}

function removeControlGroups(parent: string): void {
  for (const path of controlGroupsBelow(parent)) unlessGone(() => rmdirSync(path));
}

function thawControlGroups(parent: string): void {
  for (const path of controlGroupsBelow(parent)) {
    for (const [file, thawed] of [
      ['freezer.state', 'THAWED'],
      ['cgroup.freeze', '0'],
    ] as const) {
      // Each version of control groups has one of the files.
      if (existsSync(join(path, file))) unlessGone(() => writeFileSync(join(path, file), thawed));
    }
  }
}

/** The folders of this control group and those in it, in each hierarchy (there are several in version 1), inmost first. */
function controlGroupsBelow(parent: string): string[] {
  const root = '/sys/fs/cgroup';
  const hierarchies = [root, ...readdirSync(root).map(name => join(root, name))];
  return hierarchies
    .flatMap(hierarchy => foldersIn(join(hierarchy, parent)))
    .sort((a, b) => b.length - a.length);
}

/** The folder and those in it. Not `readdir` with `recursive`, which fails when one goes away meanwhile, as a container's does. */
function foldersIn(path: string): string[] {
  try {
    const below = readdirSync(path, { withFileTypes: true }).filter(entry => entry.isDirectory());
    return [path, ...below.flatMap(({ name }) => foldersIn(join(path, name)))];
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function unlessGone(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** The kernel says ENODEV of a file of a control group that was just removed. */
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENODEV', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}
