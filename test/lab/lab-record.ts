import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify, type ProcessIdentity } from './processes.ts';

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
  /** Names of its network namespaces. */
  readonly namespaces: readonly string[];
  /** Parent of the control groups of the lab's containers, such as `/msi-lab-1a2b3c`. */
  readonly cgroupParent: string;
}

/** A record as it was written before a lab could have other namespaces than these two. */
interface EarlierRecord extends Omit<LabRecord, 'namespaces'> {
  readonly vmNamespace: string;
  readonly imdsNamespace: string;
}

/**
 * A record of something that this process owns; it is not saved yet.
 *
 * @param namespaceNames what its network namespaces are called before their id
 */
export function newRecord(...namespaceNames: readonly string[]): LabRecord {
  const id = randomBytes(3).toString('hex');
  return {
    id,
    owner: identify(process.pid)!,
    kept: false,
    // Not /run, which is memory on most machines: the images of an engine take half a gigabyte.
    directory: `/var/tmp/msi-lab-${id}`,
    namespaces: namespaceNames.map(name => `${name}-${id}`),
    cgroupParent: `/msi-lab-${id}`,
  };
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
    .map(name => readRecord(readFileSync(join(RECORDS_DIRECTORY, name), 'utf8')));
}

function readRecord(text: string): LabRecord {
  const record = JSON.parse(text) as LabRecord | EarlierRecord;
  if ('namespaces' in record) return record;
  return { ...record, namespaces: [record.vmNamespace, record.imdsNamespace] };
}

function recordPath(id: string): string {
  return join(RECORDS_DIRECTORY, `${id}.json`);
}
