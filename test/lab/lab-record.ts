import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ProcessIdentity } from './processes.ts';

/** Where every lab of this machine is written down before anything of it is made. */
const RECORDS_DIRECTORY = '/run/msi-proxy-lab';

/** What must be known to remove a lab whose owner is gone: all that belongs to it is found by these names. */
export interface LabRecord {
  readonly id: string;
  readonly owner: ProcessIdentity;
  /** Left running on purpose; removed only when asked for. */
  readonly kept: boolean;
  /** Data, sockets and logs of the lab. */
  readonly directory: string;
  readonly vmNamespace: string;
  readonly imdsNamespace: string;
  /** Parent of the control groups of the lab's containers, such as `/msi-lab-1a2b3c`. */
  readonly cgroupParent: string;
}

export function saveRecord(record: LabRecord): void {
  mkdirSync(RECORDS_DIRECTORY, { recursive: true, mode: 0o700 });
  const path = recordPath(record.id);
  writeFileSync(`${path}.new`, JSON.stringify(record));
  renameSync(`${path}.new`, path);
}

export function forgetRecord(record: LabRecord): void {
  rmSync(recordPath(record.id), { force: true });
}

export function listRecords(): LabRecord[] {
  let names: string[];
  try {
    names = readdirSync(RECORDS_DIRECTORY);
  } catch {
    return [];
  }
  return names
    .filter(name => name.endsWith('.json'))
    .map(name => JSON.parse(readFileSync(join(RECORDS_DIRECTORY, name), 'utf8')) as LabRecord);
}

function recordPath(id: string): string {
  return join(RECORDS_DIRECTORY, `${id}.json`);
}
