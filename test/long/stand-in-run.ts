import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inDockerVm } from '../../bench/lib/docker-vm.ts';
import { PinnedProcess } from '../../bench/lib/processes.ts';
import { bundled } from '../../bench/lib/product.ts';
import { waitUntil } from '../lab/index.ts';
import { drawPanels } from './chart.ts';
import { repeat, type HeapSample, type LongRunOptions } from './long-run.ts';
import { criteriaText } from './report.ts';
import { liveHeapMegabytes, programSample, type Sample } from './samples.ts';
import { StandInEngine } from './stand-in-engine.ts';
import { monitorCriteria, none, type Criterion } from './verdict.ts';

interface Outcome {
  readonly criteria: readonly Criterion[];
  readonly report: string;
  readonly chart: string;
}

type StandInSample = Pick<Sample, 'seconds' | 'monitor' | 'clients'>;
type MonitorHeap = Pick<HeapSample, 'seconds' | 'starts' | 'monitorMegabytes'>;

const SAMPLE_SECONDS = 5;
const HEAP_SECONDS = 60;
const LOOK_SECONDS = 0.25;
const KNOWN_TIMEOUT_MILLIS = 60_000;

/**
 * The monitor alone, in a network namespace of its own, over the socket of a stand-in for the engine: the rate at which containers
 * come and go is then what it is asked to be, and not what an engine on this machine can do.
 */
export async function runWithStandIn(options: LongRunOptions): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'msi-proxy-long-'));
  await using engine = await StandInEngine.start();
  const { host, socketPath } = engine.engine;
  // Also when it is interrupted, which ends the monitor too.
  process.once('exit', () => {
    for (const each of [folder, dirname(socketPath)]) rmSync(each, { recursive: true, force: true });
  });
  const monitor = startMonitor(await bundled('msi-monitor', folder), host);
  try {
    return await run(engine, monitor, options);
  } finally {
    await monitor.stop();
  }
}

function startMonitor(bundle: string, dockerHost: string): PinnedProcess {
  return new PinnedProcess({
    argv: inDockerVm([process.execPath, '--max-semi-space-size=2', bundle, 'run']),
    env: { ...process.env, DOCKER_HOST: dockerHost, MSI_MONITOR_WIRING: 'host' },
  });
}

async function run(
  engine: StandInEngine,
  monitor: PinnedProcess,
  { minutes, clients, rate, replaceSeconds, stop, progress }: LongRunOptions,
): Promise<Outcome> {
  const { pid } = monitor;
  await engine.replaceProxy('killed');
  await liveHeapMegabytes(pid);
  for (let client = 0; client < clients; client += 1) engine.startOne();
  await waitUntil(() => engine.misjudged(0).length === 0, {
    what: 'the proxy to know all of them',
    timeoutMillis: KNOWN_TIMEOUT_MILLIS,
  });
  const { starts: startsBefore, stops: stopsBefore, replaced: replacedBefore } = engine;

  const startMillis = performance.now();
  const elapsedSeconds = () => (performance.now() - startMillis) / 1_000;
  const isOver = () => stop.aborted || monitor.exit !== undefined || elapsedSeconds() >= minutes * 60;
  const samples: StandInSample[] = [];
  const heaps: MonitorHeap[] = [];
  const misjudged = new Set<string>();

  const change = () => {
    const due = Math.floor(elapsedSeconds() * rate);
    while (engine.starts - startsBefore < due) {
      engine.startOne();
      engine.stopOne();
    }
    return Promise.resolve();
  };
  const sample = () => {
    for (const name of engine.misjudged()) misjudged.add(name);
    samples.push({ seconds: elapsedSeconds(), monitor: programSample(pid), clients: engine.alive });
    return Promise.resolve();
  };
  const measureHeap = async () => {
    const monitorMegabytes = await liveHeapMegabytes(pid);
    const seconds = elapsedSeconds();
    heaps.push({ seconds, starts: engine.starts, monitorMegabytes });
    const { residentMegabytes, files } = samples.at(-1)!.monitor;
    progress(
      `${(seconds / 60).toFixed(1)} min: ${engine.starts - startsBefore} starts; monitor ${residentMegabytes} MB (live ${monitorMegabytes.toFixed(1)}), ${files} files; ${misjudged.size} misjudged`,
    );
  };
  await Promise.all([
    repeat(isOver, LOOK_SECONDS, change),
    repeat(isOver, SAMPLE_SECONDS, sample),
    repeat(isOver, HEAP_SECONDS, measureHeap),
    repeat(isOver, replaceSeconds, async () => {
      await engine.replaceProxy(engine.replaced % 3 === 0 ? 'killed' : 'planned');
    }),
  ]);
  if (monitor.exit !== undefined) throw new Error(`the monitor has ended: ${monitor.exit}`);
  const seconds = elapsedSeconds();
  const starts = engine.starts - startsBefore;
  const stops = engine.stops - stopsBefore;

  const names = [...misjudged].slice(0, 3).join(', ');
  const { complaints } = engine;
  const criteria = [
    none(
      'containers that the serving proxy did not know, or took for others, 2 s after their start',
      misjudged.size,
      names && ` (${names})`,
    ),
    none(
      'faults against the protocol that proxies saw',
      complaints.length,
      complaints[0] === undefined ? '' : ` (${complaints[0]})`,
    ),
    ...monitorCriteria({ samples, heaps, seconds }),
  ];
  const report = [
    `- ${(seconds / 60).toFixed(1)} minutes, ${clients} containers, ${(starts / seconds).toFixed(2)} starts (${starts}) and ${(stops / seconds).toFixed(2)} stops (${stops}) a second; ${engine.replaced - replacedBefore} proxies replaced.`,
    '',
    criteriaText(criteria),
  ].join('\n');
  return { criteria, report, chart: chartOf(samples, heaps, seconds) };
}

function chartOf(samples: readonly StandInSample[], heaps: readonly MonitorHeap[], seconds: number): string {
  const line = (title: string, read: (sample: StandInSample) => number) => ({
    title,
    points: samples.map(sample => [sample.seconds, read(sample)] as const),
  });
  const memory = [
    line('monitor, resident', ({ monitor }) => monitor.residentMegabytes),
    {
      title: 'monitor, live heap',
      points: heaps.map(heap => [heap.seconds, heap.monitorMegabytes] as const),
      hasMarks: true,
    },
  ];
  const descriptors = [
    line('monitor', ({ monitor }) => monitor.files),
    line('monitor, sockets', ({ monitor }) => monitor.sockets),
    line('monitor, children', ({ monitor }) => monitor.children),
  ];
  return drawPanels(
    [
      { title: 'memory, MB', lines: memory },
      { title: 'open descriptors', lines: descriptors },
      { title: 'containers', lines: [line('alive', ({ clients }) => clients)] },
    ],
    seconds,
  );
}
