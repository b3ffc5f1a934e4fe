import { compare, type Comparison } from '../lib/comparison.ts';
import type { BenchContext, Part, PartResult } from '../lib/part.ts';
import { PRODUCT_SIDE, REFERENCE_SIDE, SIDES, withSides, type SideName } from '../lib/sides.ts';
import { comparisonText } from '../lib/tables.ts';
import { WORKLOADS, type Workload } from '../lib/workloads.ts';

const QUICK_SIDES: readonly SideName[] = [REFERENCE_SIDE, PRODUCT_SIDE];
/** At a fixed rate others tell nothing more. */
const FIXED_RATE_SIDES: readonly SideName[] = ['direct', REFERENCE_SIDE, PRODUCT_SIDE];
const ALL_SIDES = Object.keys(SIDES).filter((name): name is SideName => name !== 'nginx, 2 workers');

/** Each program on a CPU of its own, and as fast as it can. */
export const saturation: Part = {
  name: 'saturation',
  isQuickToo: true,
  run: async context =>
    await compareAll(context, {
      names: context.isQuick ? QUICK_SIDES : ALL_SIDES,
      workloads: WORKLOADS,
      loads: (context.isQuick ? [32] : [32, 1]).map(connections => ({ connections })),
      arePinned: true,
    }),
};

/** Nothing bound to a CPU: what more than one worker makes of two. */
export const free: Part = {
  name: 'free',
  isQuickToo: false,
  run: async context =>
    await compareAll(context, {
      names: ['nginx', 'nginx, 2 workers', PRODUCT_SIDE],
      workloads: WORKLOADS.filter(({ name }) => name === 'token'),
      loads: [{ connections: 32 }],
      arePinned: false,
    }),
};

/** Far from what they can do: how long an answer takes, measured from when it was due. */
export const fixedRate: Part = {
  name: 'fixed-rate',
  isQuickToo: true,
  run: async context =>
    await compareAll(context, {
      names: context.isQuick ? QUICK_SIDES : FIXED_RATE_SIDES,
      workloads: context.isQuick ? WORKLOADS.slice(0, 1) : WORKLOADS,
      loads: (context.isQuick ? [1_000] : [1_000, 5_000]).map(ratePerSecond => ({
        connections: 32,
        ratePerSecond,
      })),
      arePinned: true,
    }),
};

interface Plan {
  readonly names: readonly SideName[];
  readonly workloads: readonly Workload[];
  readonly loads: readonly { readonly connections: number; readonly ratePerSecond?: number }[];
  readonly arePinned: boolean;
}

async function compareAll(context: BenchContext, plan: Plan): Promise<PartResult> {
  const { isQuick, further, progress } = context;
  const [seconds, rounds] = isQuick ? [2, 2] : [3, 5];
  const { names, workloads, loads, arePinned } = plan;
  const comparisons: Comparison[] = [];
  await withSides(context, { names, arePinned }, async (sides, loadCpus) => {
    for (const workload of workloads) {
      // This one does nothing but answer.
      const applicable = sides.filter(({ name }) => name !== 'node:http' || workload.name === 'token');
      for (const load of loads) {
        comparisons.push(
          await compare({
            workload,
            sides: [...applicable, ...further],
            ...load,
            seconds,
            rounds,
            loadCpus,
            progress,
          }),
        );
      }
    }
  });
  return {
    markdown: comparisons.map(comparisonText).join('\n\n'),
    data: comparisons,
    faults: comparisons.flatMap(({ faults }) => faults),
  };
}
