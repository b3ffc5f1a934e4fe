import { median } from '../../bench/lib/statistics.ts';
import type { HeapSample, LongRun } from './long-run.ts';
import type { Sample } from './samples.ts';

/** One thing that may not grow, or not happen. */
export interface Criterion {
  readonly what: string;
  readonly seen: string;
  readonly limit: string;
  /** `undefined` when the run was too short to say. */
  readonly holds: boolean | undefined;
}

/** Caches fill, code is compiled, and the heap finds its size. */
const WARM_UP_SHARE = 1 / 6;

/**
 * Whatever is kept of each container by mistake is more than this: its id alone has 64 characters, and an entry of a map
 * its own overhead.
 */
const BYTES_PER_START = 256;
/** The live heap breathes by some 300 kB, which over fewer containers than this is more than that. */
const MIN_STARTS = 2_000;
const RESIDENT_GROWTH_MEGABYTES = 8;
/** Kept connections to the engine, and exchanges that are under way in one sample and not in another. */
const FILES_GROWTH = 3;

/** How the figures of a program and of the VM may change between the beginning, after the warm-up, and the end. */
export function judge(run: LongRun): readonly Criterion[] {
  const { samples, requests, before, after } = run;
  const outside = requests.failuresOutside(run.excuses);
  const growth = growthOf(samples);
  const atRest = (what: string, limit: number, from: number, to: number): Criterion => ({
    what: `${what}, without clients, before and after`,
    seen: `${from} → ${to}`,
    limit: `+ ${limit}`,
    holds: to - from <= limit,
  });
  const examples = outside
    .slice(0, 3)
    .map(
      ({ name, outcome, beganAt, endedAt }) =>
        `${outcome} for ${name} after ${(endedAt - beganAt).toFixed(0)} ms`,
    );
  return [
    none('tokens of another identity', requests.wrongIdentities),
    none('tokens for containers without the label', requests.strangersServed),
    none(
      'failed requests while there was a proxy',
      outside.length,
      examples.length === 0 ? '' : ` (${examples.join(', ')})`,
    ),
    ...monitorCriteria(run),
    growth("proxy's resident memory, MB", RESIDENT_GROWTH_MEGABYTES, ({ proxy }) => proxy?.residentMegabytes),
    growth("proxy's open files", FILES_GROWTH, ({ proxy }) => proxy?.files),
    growth('packet rules', 0, ({ rules }) => rules),
    growth('elements of sets and maps', FILES_GROWTH, ({ elements }) => elements),
    atRest("monitor's open files", FILES_GROWTH, before.monitorFiles, after.monitorFiles),
    atRest("monitor's children", 0, before.monitorChildren, after.monitorChildren),
    atRest('sockets of the VM', FILES_GROWTH, before.sockets, after.sockets),
    atRest('packet rules', 0, before.rules, after.rules),
    atRest('elements of sets and maps', 1, before.elements, after.elements),
  ];
}

type MonitorSample = Pick<Sample, 'monitor'>;

/** That the monitor holds no more at the end than after the warm-up. */
export function monitorCriteria({
  samples,
  heaps,
  seconds,
}: {
  readonly samples: readonly MonitorSample[];
  readonly heaps: readonly Pick<HeapSample, 'seconds' | 'starts' | 'monitorMegabytes'>[];
  readonly seconds: number;
}): readonly Criterion[] {
  const growth = growthOf(samples);
  return [
    heapCriterion(heaps, seconds),
    growth(
      "monitor's resident memory, MB",
      RESIDENT_GROWTH_MEGABYTES,
      ({ monitor }) => monitor.residentMegabytes,
    ),
    growth("monitor's open files", FILES_GROWTH, ({ monitor }) => monitor.files),
    growth("monitor's sockets", FILES_GROWTH, ({ monitor }) => monitor.sockets),
    growth("monitor's children", 1, ({ monitor }) => monitor.children),
  ];
}

/** That something did not happen at all. */
export function none(what: string, seen: number, more = ''): Criterion {
  return { what, seen: `${seen}${more}`, limit: '0', holds: seen === 0 };
}

function growthOf<Sampled>(samples: readonly Sampled[]) {
  const [early, late] = thirds(samples);
  return (what: string, limit: number, read: (sample: Sampled) => number | undefined): Criterion => {
    const [from = NaN, to = NaN] = [early, late].map(part =>
      median(part.map(read).filter(value => value !== undefined)),
    );
    const isSeen = !Number.isNaN(to - from);
    return {
      what,
      seen: isSeen ? `${from.toFixed(1)} → ${to.toFixed(1)}` : 'too short a run to say',
      limit: `+ ${limit}`,
      holds: isSeen ? to - from <= limit : undefined,
    };
  };
}

/** The slope of the live heap, which knows no garbage, over the containers that came meanwhile. */
function heapCriterion(
  heaps: readonly Pick<HeapSample, 'seconds' | 'starts' | 'monitorMegabytes'>[],
  all: number,
): Criterion {
  const settled = heaps.filter(({ seconds }) => seconds >= all * WARM_UP_SHARE);
  const bytesPerStart = slopeOf(
    settled.map(({ starts, monitorMegabytes }) => ({ x: starts, y: monitorMegabytes * 1e6 })),
  );
  const starts = (settled.at(-1)?.starts ?? 0) - (settled[0]?.starts ?? 0);
  const isSeen = settled.length >= 3 && starts >= MIN_STARTS;
  return {
    what: "monitor's live heap, bytes more with each container that comes",
    seen: isSeen
      ? bytesPerStart.toFixed(0)
      : `${bytesPerStart.toFixed(0)}, of ${starts} containers: too few to say`,
    limit: String(BYTES_PER_START),
    holds: isSeen ? bytesPerStart <= BYTES_PER_START : undefined,
  };
}

/** The first and the last third of what comes after the warm-up. */
function thirds<Sampled>(samples: readonly Sampled[]): [readonly Sampled[], readonly Sampled[]] {
  const settled = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const third = Math.max(1, Math.floor(settled.length / 3));
  return [settled.slice(0, third), settled.slice(-third)];
}

/** The median of the slopes between all pairs of points (Theil and Sen): single outliers do not move it. */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const slopes = points.flatMap((from, index) =>
    points.slice(index + 1).flatMap(to => (to.x === from.x ? [] : [(to.y - from.y) / (to.x - from.x)])),
  );
  return slopes.length === 0 ? 0 : median(slopes);
}
