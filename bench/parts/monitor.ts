import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { CLIENT_LABEL, IDENTITY_LABEL, PROXY_LABEL } from '@msi-proxy/shared';
import { FakeEngine } from '../../packages/monitor/test/support/fake-engine/index.ts';
import { FakeProxy } from '../../packages/monitor/test/support/fake-proxy.ts';
import { waitUntil } from '../../test/lab/index.ts';
import { inDockerVm } from '../lib/docker-vm.ts';
import type { BenchContext, Part } from '../lib/part.ts';
import { plot } from '../lib/plot.ts';
import { PinnedProcess } from '../lib/processes.ts';
import { bundled } from '../lib/product.ts';
import { table } from '../lib/tables.ts';
import { CLIENT_ID } from '../lib/workloads.ts';

const CLIENT_COUNTS = [10, 100, 500, 1_000, 2_000];
const CLIENTS_PER_NETWORK = 200;
const IDLE_SECONDS = 30;
const RESYNC_SECONDS = 5;
const RESYNCS = 4;

export interface MonitorCost {
  readonly clients: number;
  /** From the start of the process to the proxy's knowing every client. */
  readonly firstSyncMillis: number;
  readonly firstSyncCpuMillis: number;
  readonly idleCpuShare: number;
  readonly resyncCpuMillis: number;
  readonly residentMegabytes: number;
}

/**
 * The monitor's program over an engine's socket, in a network namespace of its own that has nothing in it but Docker's chain for
 * users.
 */
export const monitor: Part = {
  name: 'monitor',
  isQuickToo: false,
  run: async context => {
    const bundle = await bundled('msi-monitor', context.folder);
    const measured: MonitorCost[] = [];
    for (const clients of CLIENT_COUNTS) {
      const idle = await measure(context, bundle, clients, 'idle');
      const resyncing = await measure(context, bundle, clients, 'resyncing');
      const idleCpuShare = idle.laterCpuMillis / (IDLE_SECONDS * 1_000);
      const seconds = RESYNC_SECONDS * RESYNCS;
      const result = {
        clients,
        firstSyncMillis: idle.firstSyncMillis,
        firstSyncCpuMillis: idle.firstSyncCpuMillis,
        idleCpuShare,
        resyncCpuMillis: Math.max(0, resyncing.laterCpuMillis - idleCpuShare * seconds * 1_000) / RESYNCS,
        residentMegabytes: Math.max(idle.residentMegabytes, resyncing.residentMegabytes),
      };
      measured.push(result);
      context.progress(`  ${JSON.stringify(result)}`);
    }
    const image = 'images/monitor-cost.svg';
    if (context.docsFolder !== undefined) {
      const points = measured.map(({ clients, resyncCpuMillis }) => ({ x: clients, y: resyncCpuMillis }));
      writeFileSync(
        join(context.docsFolder, image),
        plot({ points, xTitle: 'clients', yTitle: 'CPU of one resync, ms' }),
      );
    }
    return {
      markdown: `${textOf(measured)}\n\n![CPU of one resync by clients](${image})`,
      data: measured,
      faults: [],
    };
  },
};

async function measure(
  { cpus, nodeArguments }: BenchContext,
  bundle: string,
  clients: number,
  mode: 'idle' | 'resyncing',
) {
  const proxy = new FakeProxy('bench');
  await using engine = await FakeEngine.start({
    onExec: process => {
      const isControl = process.argv.join(' ').endsWith('msi-proxy control');
      if (isControl) proxy.accept(process);
      else process.exit(127);
    },
  });
  fill(engine, clients);
  const beginMillis = performance.now();
  // The rules that the monitor sets are those of this namespace, and nothing in it leads anywhere.
  const program = new PinnedProcess({
    argv: inDockerVm([process.execPath, ...nodeArguments, bundle, 'run']),
    cpus,
    env: {
      ...process.env,
      DOCKER_HOST: engine.host,
      MSI_MONITOR_WIRING: 'host',
      MSI_MONITOR_RESYNC_SECONDS: String(mode === 'idle' ? 3_600 : RESYNC_SECONDS),
    },
  });
  try {
    await waitUntil(() => knownClients(proxy) === clients, {
      what: `the proxy to know ${clients} clients; the monitor says ${program.output.slice(-2_000)}`,
      timeoutMillis: 60_000,
    });
    const firstSyncMillis = performance.now() - beginMillis;
    const firstSyncCpuMillis = program.usage().cpuMillis;
    // What the start has left to do.
    await sleep(3_000);
    const before = program.usage();
    await sleep((mode === 'idle' ? IDLE_SECONDS : RESYNC_SECONDS * RESYNCS) * 1_000);
    const after = program.usage();
    return {
      firstSyncMillis,
      firstSyncCpuMillis,
      laterCpuMillis: after.cpuMillis - before.cpuMillis,
      residentMegabytes: after.residentBytes / 1e6,
    };
  } finally {
    await program.stop();
  }
}

function knownClients({ callers }: FakeProxy): number {
  return [...callers.values()].filter(({ grant }) => grant.kind === 'client').length;
}

function fill(engine: FakeEngine, clients: number): void {
  engine.run({ name: 'proxy', labels: { [PROXY_LABEL]: '' } });
  for (let client = 0; client < clients; client += 1) {
    const number = Math.floor(client / CLIENTS_PER_NETWORK);
    const network = `net-${number}`;
    if (client % CLIENTS_PER_NETWORK === 0)
      engine.state.createNetwork({ name: network, prefix: `172.31.${number}` });
    const labels = { [CLIENT_LABEL]: '', [IDENTITY_LABEL]: CLIENT_ID };
    engine.run({ name: `client-${client}`, network, labels });
  }
}

function textOf(measured: readonly MonitorCost[]): string {
  return table(
    [
      'clients',
      'start to all known',
      'CPU until then',
      'idle CPU',
      'CPU of a resync',
      'per client',
      'resident',
    ],
    measured.map(each => [
      each.clients,
      `${each.firstSyncMillis.toFixed(0)} ms`,
      `${each.firstSyncCpuMillis.toFixed(0)} ms`,
      `${(each.idleCpuShare * 100).toFixed(2)} %`,
      `${each.resyncCpuMillis.toFixed(0)} ms`,
      `${(each.resyncCpuMillis / each.clients).toFixed(2)} ms`,
      `${each.residentMegabytes.toFixed(0)} MB`,
    ]),
  );
}
