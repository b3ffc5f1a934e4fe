import { fetchText } from './net.ts';
import { openLoop } from './open-loop.ts';
import type { CpuList } from './binding.ts';
import { REFERENCE_SIDE, type Side } from './sides.ts';
import { median, ratios, spreadOf, type Spread } from './statistics.ts';
import { IMDS_HEADERS, type Workload } from './workloads.ts';
import { closedLoop } from './wrk.ts';

/** One run against one side. */
interface Sample {
  /** Answers a second. */
  readonly rate: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Processor time of the side's processes for each answer. */
  readonly cpuMicros: number | undefined;
  readonly residentMegabytes: number | undefined;
  readonly upstreamConnections: number | undefined;
  readonly upstreamRequests: number | undefined;
  /** Connections to the upstream when the load has just ended; none is closed before it has been idle for a while. */
  readonly upstreamOpen: number | undefined;
  readonly requests: number;
}

/** A side's figures in one comparison, and each by the reference's of the same round. */
export interface SideResult {
  readonly side: string;
  readonly rounds: number;
  readonly rate: Spread;
  readonly p50Micros: Spread;
  readonly p99Micros: Spread;
  readonly cpuMicros: Spread | undefined;
  readonly residentMegabytes: number | undefined;
  /** Of all rounds. */
  readonly upstreamConnections: number | undefined;
  readonly upstreamRequests: number | undefined;
  /** The most after a round. */
  readonly upstreamOpen: number | undefined;
  readonly requests: number;
  readonly ratio: {
    readonly rate: number | undefined;
    readonly p50: number | undefined;
    readonly p99: number | undefined;
    readonly cpu: number | undefined;
  };
}

/** Several sides under the same load. */
export interface Comparison {
  readonly workload: Workload['name'];
  readonly title: string;
  readonly load: 'closed' | 'open';
  readonly connections: number;
  /** Of an open loop. */
  readonly ratePerSecond?: number;
  readonly seconds: number;
  readonly sides: readonly SideResult[];
  /** What was wrong with answers; nothing if all were right. */
  readonly faults: readonly string[];
}

export interface ComparisonOptions {
  readonly workload: Workload;
  readonly sides: readonly Side[];
  readonly connections: number;
  readonly seconds: number;
  /** At most; fewer if they hardly differ. */
  readonly rounds: number;
  readonly loadCpus: CpuList | undefined;
  /** Absent: as much as the side takes. */
  readonly ratePerSecond?: number;
  readonly progress: (text: string) => void;
}

// Node compiles what runs often; the first second is slower.
const WARM_UP_SECONDS = 2;

/** Rounds after which a comparison may end early, and the spread of what it is about up to which it does. */
const LEAST_ROUNDS = 3;
const SMALL_SPREAD = 0.05;

/** Loads the sides one after the other, round after round. */
export async function compare(options: ComparisonOptions): Promise<Comparison> {
  const { workload, sides, connections, seconds, rounds, ratePerSecond, progress } = options;
  const title =
    ratePerSecond === undefined
      ? `${workload.title}, ${connections} connection${connections === 1 ? '' : 's'}, as fast as possible`
      : `${workload.title}, ${ratePerSecond} requests a second over ${connections} connections`;
  progress(title);
  const faults: string[] = [];
  const samples = new Map<Side, Sample[]>(sides.map(side => [side, []]));
  for (const side of sides) {
    faults.push(...(await wrongAnswer(side, workload)));
    // Compilers and caches.
    await closedLoop({ ...loadOf(side, options), connections: 32, seconds: WARM_UP_SECONDS });
  }
  for (let round = 0; round < rounds && !isSettled(options, [...samples.values()]); round += 1) {
    for (const side of sides) {
      const { sample, fault } = await measure(side, options);
      samples.get(side)!.push(sample);
      if (fault !== undefined) faults.push(`${side.name}: ${fault}`);
      progress(`  ${round + 1}/${rounds} ${side.name.padEnd(12)} ${sampleText(sample)}`);
    }
  }
  const reference = sides.find(({ name }) => name === REFERENCE_SIDE);
  return {
    workload: workload.name,
    title,
    load: ratePerSecond === undefined ? 'closed' : 'open',
    connections,
    ...(ratePerSecond !== undefined && { ratePerSecond }),
    seconds,
    sides: sides.map(side =>
      resultOf(side.name, samples.get(side)!, reference === undefined ? [] : samples.get(reference)!),
    ),
    faults,
  };
}

/** More rounds would say the same: of each side requests a second, or p99 at a fixed rate, hardly differ. */
function isSettled({ ratePerSecond }: ComparisonOptions, sides: readonly (readonly Sample[])[]): boolean {
  return sides.every(samples => {
    if (samples.length < LEAST_ROUNDS) return false;
    const { median, min, max } = spreadOf(
      samples.map(({ rate, p99Micros }) => (ratePerSecond === undefined ? rate : p99Micros)),
    );
    return max - min <= SMALL_SPREAD * median;
  });
}

async function measure(side: Side, options: ComparisonOptions): Promise<{ sample: Sample; fault?: string }> {
  const before = { usage: side.usage?.(), arrivals: await side.arrivals?.() };
  const load = await loadOnce(side, options);
  const after = { usage: side.usage?.(), arrivals: await side.arrivals?.() };
  const cpuMillis = before.usage && after.usage ? after.usage.cpuMillis - before.usage.cpuMillis : undefined;
  // Each question for the counts is a connection and a request itself.
  const arrived = (name: 'connections' | 'requests') =>
    before.arrivals && after.arrivals && after.arrivals[name] - before.arrivals[name] - 1;
  const sample: Sample = {
    rate: load.rate,
    p50Micros: load.p50Micros,
    p99Micros: load.p99Micros,
    cpuMicros: cpuMillis === undefined ? undefined : (cpuMillis * 1_000) / load.requests,
    residentMegabytes: after.usage && after.usage.residentBytes / 2 ** 20,
    upstreamConnections: arrived('connections'),
    upstreamRequests: arrived('requests'),
    upstreamOpen: after.arrivals && after.arrivals.open - 1,
    requests: load.requests,
  };
  // A busy machine can be too slow for an answer; it cannot make it wrong.
  if (load.unanswered > 0) options.progress(`  ${side.name}: ${load.unanswered} were not answered`);
  const { wrongAnswers, requests } = load;
  return { sample, ...(wrongAnswers > 0 && { fault: `${wrongAnswers} wrong answers of ${requests}` }) };
}

async function loadOnce(side: Side, options: ComparisonOptions) {
  const { connections, seconds, ratePerSecond, loadCpus, workload } = options;
  if (ratePerSecond === undefined) {
    const result = await closedLoop({ ...loadOf(side, options), connections, seconds });
    return {
      ...result,
      rate: (result.requests * 1e6) / result.durationMicros,
      unanswered: result.socketErrors,
      wrongAnswers: result.statusErrors,
    };
  }
  const { host, port, target = workload.target } = side;
  const result = await openLoop(
    {
      host,
      port,
      target,
      headers: IMDS_HEADERS,
      ratePerSecond,
      seconds,
      connections,
      expectedStatus: 200,
    },
    loadCpus,
  );
  return {
    ...result,
    rate: (result.requests - result.failures) / seconds,
    unanswered: result.failures - result.wrongAnswers,
  };
}

function loadOf({ host, port, target }: Side, { workload, loadCpus }: ComparisonOptions) {
  return {
    url: `http://${host}:${port}${target ?? workload.target}`,
    headers: IMDS_HEADERS,
    cpus: loadCpus,
  };
}

async function wrongAnswer(side: Side, { target, isRight, title }: Workload): Promise<string[]> {
  // Others have answers of their own.
  if (side.target !== undefined || side.usage === undefined || side.name === 'node:http') return [];
  const { status, body } = await fetchText(side.port, target, IMDS_HEADERS);
  return status === 200 && isRight(body)
    ? []
    : [`${side.name}: ${title}: status ${status}: ${body.slice(0, 200)}`];
}

function resultOf(side: string, samples: readonly Sample[], references: readonly Sample[]): SideResult {
  const all = <Name extends keyof Sample>(from: readonly Sample[], name: Name) =>
    from.map(sample => sample[name]).filter(value => value !== undefined);
  const ratio = (name: keyof Sample) => {
    const values = ratios(all(samples, name), all(references, name));
    return values.length === 0 ? undefined : median(values);
  };
  const sum = (name: keyof Sample) => {
    const values = all(samples, name);
    return values.length === 0 ? undefined : values.reduce((total, value) => total + value, 0);
  };
  const cpuMicros = all(samples, 'cpuMicros');
  const residentMegabytes = all(samples, 'residentMegabytes');
  const upstreamOpen = all(samples, 'upstreamOpen');
  return {
    side,
    rounds: samples.length,
    rate: spreadOf(all(samples, 'rate')),
    p50Micros: spreadOf(all(samples, 'p50Micros')),
    p99Micros: spreadOf(all(samples, 'p99Micros')),
    cpuMicros: cpuMicros.length === 0 ? undefined : spreadOf(cpuMicros),
    residentMegabytes: residentMegabytes.length === 0 ? undefined : Math.max(...residentMegabytes),
    upstreamConnections: sum('upstreamConnections'),
    upstreamRequests: sum('upstreamRequests'),
    upstreamOpen: upstreamOpen.length === 0 ? undefined : Math.max(...upstreamOpen),
    requests: sum('requests') ?? 0,
    ratio: { rate: ratio('rate'), p50: ratio('p50Micros'), p99: ratio('p99Micros'), cpu: ratio('cpuMicros') },
  };
}

function sampleText({ rate, p50Micros, p99Micros, cpuMicros }: Sample): string {
  const cpu = cpuMicros === undefined ? '' : `  ${cpuMicros.toFixed(1)} µs CPU a request`;
  return `${rate.toFixed(0).padStart(6)}/s  p50 ${p50Micros} µs  p99 ${p99Micros} µs${cpu}`;
}
