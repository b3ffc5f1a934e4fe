import type { Footprint } from '../parts/footprint.ts';
import type { MonitorCost } from '../parts/monitor.ts';
import type { UnderLoad } from '../parts/under-load.ts';
import type { Comparison, SideResult } from './comparison.ts';
import { PRODUCT_SIDE } from './sides.ts';
import { median } from './statistics.ts';
import { table } from './tables.ts';
import type { Workload } from './workloads.ts';

/** What the parts have measured, as it is in docs/benchmarks.json. */
export interface Figures {
  readonly saturation?: readonly Comparison[];
  readonly 'under-load'?: readonly UnderLoad[];
  readonly footprint?: Footprint;
  readonly monitor?: readonly MonitorCost[];
}

/** A figure, and the bound that it is to keep. */
interface Check {
  readonly seen: number | undefined;
  readonly bound: number;
  readonly isLeast?: boolean;
  readonly unit: string;
  readonly digits?: number;
}

interface Target {
  readonly title: string;
  readonly checks: (figures: Figures) => readonly Check[];
}

const TARGETS: readonly Target[] = [
  {
    title: 'kept token, 32 connections: requests/s ≥ 1.0 × nginx',
    checks: figures => [atLeast(product(figures, 'token', 32)?.ratio.rate, 1)],
  },
  {
    title: 'kept token, 1 connection: p50 ≤ 1.0 × nginx',
    checks: figures => [atMost(product(figures, 'token', 1)?.ratio.p50, 1)],
  },
  {
    title: 'kept token, 32 connections: p99 ≤ 2 × nginx',
    checks: figures => [atMost(product(figures, 'token', 32)?.ratio.p99, 2)],
  },
  {
    title: 'pass-through, 32 connections: requests/s ≥ 0.25 × nginx; ≤ 5 upstream connections',
    checks: figures => {
      const side = product(figures, 'relay', 32);
      return [
        atLeast(side?.ratio.rate, 0.25),
        { seen: side?.upstreamOpen, bound: 5, unit: 'connections', digits: 0 },
      ];
    },
  },
  {
    title: 'the same metadata for all, 32 connections: requests/s ≥ 0.8 × nginx',
    checks: figures => [atLeast(product(figures, 'shared', 32)?.ratio.rate, 0.8)],
  },
  {
    title: 'an SDK’s probe under full load of others: p99 < 1 ms',
    checks: figures => [{ seen: millis(p99(figures, 'probe', 'greedy')), bound: 1, unit: 'ms', digits: 2 }],
  },
  {
    title: 'a greedy container does not move another’s p99 by more than 2 ×',
    checks: figures => [atMost(divided(p99(figures, 'token', 'greedy'), p99(figures, 'token', 'none')), 2)],
  },
  {
    title: 'start of the proxy to ready ≤ 120 ms',
    checks: ({ footprint }) => [
      { seen: footprint && median(footprint.starts), bound: 120, unit: 'ms', digits: 0 },
    ],
  },
  {
    title: 'memory of the proxy: ≤ 70 MB idle, ≤ 110 MB under load',
    checks: ({ footprint }) => [
      megabytes(footprint && median(footprint.idleMegabytes), 70),
      megabytes(footprint && Math.max(...Object.values(footprint.loadedMegabytes)), 110),
    ],
  },
  {
    title: 'monitor with 2,000 clients: resync ≤ 1 s of CPU, ≤ 150 MB, idle ≤ 1 % of a CPU',
    checks: ({ monitor }) => {
      const most = monitor?.find(({ clients }) => clients === 2_000);
      return [
        { seen: most && most.resyncCpuMillis / 1_000, bound: 1, unit: 's', digits: 2 },
        megabytes(most?.residentMegabytes, 150),
        { seen: most && most.idleCpuShare * 100, bound: 1, unit: '%', digits: 1 },
      ];
    },
  },
];

/** Which targets the figures meet. */
export function targetsText(figures: Figures): string {
  return table(
    ['target', 'seen', ''],
    TARGETS.map(({ title, checks }) => {
      const all = checks(figures);
      return [title, all.map(seenText).join(', '), verdict(all)];
    }),
  );
}

function verdict(checks: readonly Check[]): string {
  if (checks.some(({ seen }) => seen === undefined)) return 'not measured';
  return checks.every(isMet) ? 'met' : 'missed';
}

function isMet({ seen, bound, isLeast = false }: Check): boolean {
  return seen !== undefined && (isLeast ? seen >= bound : seen <= bound);
}

function seenText({ seen, unit, digits = 2 }: Check): string {
  return seen === undefined ? '–' : `${seen.toFixed(digits)} ${unit}`;
}

function atLeast(seen: number | undefined, bound: number): Check {
  return { seen, bound, isLeast: true, unit: '×' };
}

function atMost(seen: number | undefined, bound: number): Check {
  return { seen, bound, unit: '×' };
}

function megabytes(seen: number | undefined, bound: number): Check {
  return { seen, bound, unit: 'MB', digits: 0 };
}

function product(
  { saturation }: Figures,
  workload: Workload['name'],
  connections: number,
): SideResult | undefined {
  return saturation
    ?.find(each => each.workload === workload && each.connections === connections)
    ?.sides.find(({ side }) => side === PRODUCT_SIDE);
}

function p99(figures: Figures, victim: UnderLoad['victim'], load: UnderLoad['load']): number | undefined {
  const found = figures['under-load']?.find(each => each.victim === victim && each.load === load);
  return found && median(found.rounds.map(({ p99Micros }) => p99Micros));
}

function millis(micros: number | undefined): number | undefined {
  return micros && micros / 1_000;
}

function divided(value: number | undefined, by: number | undefined): number | undefined {
  return value === undefined || by === undefined ? undefined : value / by;
}
