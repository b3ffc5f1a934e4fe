import { readdirSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Scenario } from '../e2e/support/scenario.ts';
import { childrenOf, megabytesOf } from '../faults/leaks.ts';
import { mustRun, waitUntil } from '../lab/index.ts';

/** What a program holds. */
export interface ProgramSample {
  readonly residentMegabytes: number;
  readonly files: number;
  readonly sockets: number;
  readonly children: number;
}

export interface Sample {
  /** Since the churn began. */
  readonly seconds: number;
  readonly monitor: ProgramSample;
  /** Absent while it is being replaced. */
  readonly proxy?: ProgramSample;
  /** Of the VM, without those that programs have closed and the kernel has not. */
  readonly sockets: number;
  /** Connections that the VM's kernel remembers. */
  readonly conntrackEntries: number;
  /** Of the monitor's table, and rules of iptables. */
  readonly rules: number;
  readonly elements: number;
  readonly clients: number;
  readonly starts: number;
  readonly answered: number;
  readonly failures: number;
}

const OF_NO_PROGRAM = ['time-wait', 'fin-wait-1', 'fin-wait-2', 'last-ack', 'closing'];

const heapProgram = fileURLToPath(new URL('live-heap.mjs', import.meta.url));

export function programSample(pid: number): ProgramSample {
  const files = readdirSync(`/proc/${pid}/fd`);
  return {
    residentMegabytes: megabytesOf(pid),
    files: files.length,
    sockets: files.filter(file => linkOf(`/proc/${pid}/fd/${file}`).startsWith('socket:')).length,
    children: childrenOf(pid),
  };
}

/** What the VM holds because of the product. */
export async function vmSample({
  vm,
}: Scenario): Promise<Pick<Sample, 'sockets' | 'conntrackEntries' | 'rules' | 'elements'>> {
  const [sockets, conntrack, table, chain] = await Promise.all([
    vm.exec([
      'ss',
      '--no-header',
      '--tcp',
      '--all',
      '--numeric',
      ...OF_NO_PROGRAM.flatMap(state => ['exclude', state]),
    ]),
    vm.exec(['cat', '/proc/sys/net/netfilter/nf_conntrack_count']),
    vm.exec(['nft', '--json', 'list', 'table', 'ip', 'msi_proxy']),
    vm.exec(['iptables', '--list-rules', 'DOCKER-USER']),
  ]);
  const { nftables } = JSON.parse(table) as {
    nftables: readonly Partial<Record<string, { elem?: readonly unknown[] }>>[];
  };
  const elements = nftables.flatMap(({ map, set }) => (map ?? set)?.elem ?? []);
  return {
    sockets: linesOf(sockets),
    conntrackEntries: Number(conntrack),
    rules: nftables.filter(({ rule }) => rule !== undefined).length + linesOf(chain),
    elements: elements.length,
  };
}

/** What is in use of a Node program's heap when its garbage has been collected, in megabytes. */
export async function liveHeapMegabytes(pid: number): Promise<number> {
  process.kill(pid, 'SIGUSR1'); // opens Node's inspector, on a loopback of the lab
  const bytes = await waitUntil(
    async () =>
      Number(await mustRun(['nsenter', `--net=/proc/${pid}/ns/net`, process.execPath, heapProgram])),
    { what: `the inspector of process ${pid}`, timeoutMillis: 30_000, intervalMillis: 200 },
  );
  return bytes / 1e6;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // closed meanwhile
  }
}

function linesOf(text: string): number {
  return text.split('\n').filter(line => line.trim() !== '').length;
}
