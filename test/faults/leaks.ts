import { readdirSync, readFileSync } from 'node:fs';
import { type Scenario } from './lab.ts';
import { type Preload } from './preload.ts';

/** What the product holds of the machine when it is at rest. */
export interface Holdings {
  /**
   * Of the VM's programs. What the kernel still holds by itself ends by itself: a last answer to a container that is gone is
   * sent again for some minutes.
   */
  readonly sockets: number;
  /** Lines of packet rules of ours, without counters. */
  readonly rules: number;
  readonly monitorFiles: number;
  readonly monitorChildren: number;
  readonly proxyFiles: number;
  readonly proxyProcesses: number;
  /** What is left after garbage was collected. */
  readonly monitorHeapMegabytes: number;
  readonly proxyHeapMegabytes: number;
}

/** What may come and go: kept connections to the engine and IMDS, decisions that are remembered, compiled code. */
const TOLERANCE: Holdings = {
  sockets: 12,
  rules: 0,
  monitorFiles: 8,
  monitorChildren: 0,
  proxyFiles: 8,
  proxyProcesses: 0,
  monitorHeapMegabytes: 8,
  proxyHeapMegabytes: 8,
};

export interface HeldBy {
  readonly scenario: Scenario;
  readonly preload: Preload;
  readonly monitorPid: number;
  /** Name of its container. */
  readonly proxy: string;
}

export async function holdingsOf({ scenario, preload, monitorPid, proxy }: HeldBy): Promise<Holdings> {
  // Those of thousands of resources take some MB, which is no leak.
  await scenario.docker('exec', proxy, 'msi-proxy', 'tokens', 'flush');
  const proxyPid = Number(await scenario.docker('inspect', '--format', '{{.State.Pid}}', proxy));
  const sockets = await scenario.vm.exec(['ss', '--no-header', '--tcp', '--all', '--numeric', '--processes']);
  const table = await scenario.vm.exec(['nft', 'list', 'table', 'ip', 'msi_proxy']);
  const dockerUser = await scenario.vm.run(['iptables', '--list-rules', 'DOCKER-USER']);
  // The engine's own health check comes and goes.
  const processes = (await scenario.docker('top', proxy, '-eo', 'pid,args'))
    .split('\n')
    .slice(1)
    .filter(line => !line.includes('healthcheck')).length;
  return {
    sockets: linesOf(sockets, 'users:('),
    // What is remembered of connections comes and goes with them.
    rules: linesOf(table.replaceAll(/elements = \{[^}]*\}/gs, '')) + linesOf(dockerUser.stdout),
    monitorFiles: openFilesOf(monitorPid),
    monitorChildren: childrenOf(monitorPid),
    proxyFiles: openFilesOf(proxyPid),
    proxyProcesses: processes,
    monitorHeapMegabytes: await preload.heapMegabytes(monitorPid, monitorPid),
    proxyHeapMegabytes: await preload.heapMegabytes(proxyPid, 1),
  };
}

/** @returns what grew by more than it may, as text */
export function leaksBetween(before: Holdings, after: Holdings): readonly string[] {
  return (Object.keys(TOLERANCE) as (keyof Holdings)[])
    .filter(key => after[key] - before[key] > TOLERANCE[key])
    .map(key => `${key} ${before[key]} → ${after[key]}`);
}

/** Of those that are not empty, the ones with this in them. */
function linesOf(text: string, wanted = ''): number {
  return text.split('\n').filter(line => line.trim() !== '' && line.includes(wanted)).length;
}

export function openFilesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

export function childrenOf(pid: number): number {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).length;
}

export function megabytesOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kilobytes) / 1_024);
}
