import { BenchProxy } from '../lib/product.ts';
import type { BenchContext, Part } from '../lib/part.ts';
import { median, spreadOf } from '../lib/statistics.ts';
import { table } from '../lib/tables.ts';
import { FastUpstream } from '../lib/upstream.ts';
import { IMDS_HEADERS, workload } from '../lib/workloads.ts';
import { closedLoop } from '../lib/wrk.ts';

const STARTS = 20;

export interface Footprint {
  /** Milliseconds to ready. */
  readonly starts: readonly number[];
  readonly idleMegabytes: readonly number[];
  readonly loadedMegabytes: Readonly<Record<string, number>>;
}

const LOAD_SECONDS = 10;

/** How long the proxy takes to start, and how much memory it has then and under load. */
export const footprint: Part = {
  name: 'footprint',
  isQuickToo: false,
  run: async context => {
    const { folder, loadCpus } = context;
    const upstream = await FastUpstream.start({ folder, name: 'footprint-upstream', cpus: loadCpus });
    try {
      const starts: number[] = [];
      const idleMegabytes: number[] = [];
      for (let start = 0; start < STARTS; start += 1) {
        await withProxy(context, upstream, start, proxy => {
          starts.push(proxy.startMillis);
          idleMegabytes.push(megabytes(proxy));
          return Promise.resolve();
        });
      }
      const loadedMegabytes: Record<string, number> = {};
      await withProxy(context, upstream, STARTS, async proxy => {
        const url = `http://127.0.0.1:${proxy.port}`;
        for (const name of ['token', 'shared', 'relay'] as const) {
          const load = { url: url + workload(name).target, headers: IMDS_HEADERS, connections: 32 };
          await closedLoop({ ...load, seconds: LOAD_SECONDS, cpus: loadCpus });
          loadedMegabytes[name] = megabytes(proxy);
        }
      });
      const millis = spreadOf(starts);
      const rows = [
        [
          'start of the process to ready',
          `${millis.median.toFixed(0)} ms (${millis.min.toFixed(0)}–${millis.max.toFixed(0)}, ${STARTS} starts)`,
          '≤ 120 ms',
        ],
        ['resident, idle', `${median(idleMegabytes).toFixed(0)} MB`, '≤ 70 MB'],
        ...(['token', 'shared', 'relay'] as const).map(name => [
          `resident after ${LOAD_SECONDS} s of full load: ${workload(name).title.toLowerCase()}`,
          `${loadedMegabytes[name]!.toFixed(0)} MB`,
          '≤ 110 MB',
        ]),
      ];
      return {
        markdown: table(['proxy', 'measured', 'target'], rows),
        data: { starts, idleMegabytes, loadedMegabytes } satisfies Footprint,
        faults: [],
      };
    } finally {
      await upstream.process.stop();
    }
  },
};

async function withProxy(
  { folder, cpus, loadCpus, proxyBundle, nodeArguments }: BenchContext,
  upstream: FastUpstream,
  number: number,
  action: (proxy: BenchProxy) => Promise<void>,
): Promise<void> {
  const proxy = await BenchProxy.start({
    bundle: proxyBundle,
    folder,
    name: `footprint-${number}`,
    imdsPort: upstream.port,
    cpus,
    monitorCpus: loadCpus,
    addresses: ['127.0.0.1'],
    nodeArguments,
  });
  try {
    await action(proxy);
  } finally {
    await proxy.stop();
  }
}

function megabytes(proxy: BenchProxy): number {
  return proxy.process.usage().residentBytes / 1e6;
}
