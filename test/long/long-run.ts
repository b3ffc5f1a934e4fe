import { closeSync, mkdirSync, openSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Scenario } from '../e2e/support/scenario.ts';
import { EngineApi, waitUntil } from '../lab/index.ts';
import { identify, isAlive } from '../lab/processes.ts';
import { Churn, REQUESTS_FILE } from './churn.ts';
import { Replacements, type Replacement } from './replacement.ts';
import { Requests, type Excuse } from './requests.ts';
import { liveHeapMegabytes, programSample, vmSample, type Sample } from './samples.ts';

export interface LongRunOptions {
  readonly minutes: number;
  readonly clients: number;
  readonly rate: number;
  readonly replaceSeconds: number;
  /** Of each client, between its requests. */
  readonly pauseSeconds: number;
  /** Ends the run before its time. */
  readonly stop: AbortSignal;
  readonly progress: (text: string) => void;
}

export interface HeapSample {
  readonly seconds: number;
  /** Containers that have come until then. */
  readonly starts: number;
  readonly monitorMegabytes: number;
  /** Of the proxy that was about to be replaced, or will be some time. */
  readonly proxyMegabytes: number;
}

type Held = Pick<Sample, 'monitor' | 'sockets' | 'rules' | 'elements'>;

/** What is held while nothing happens. */
export interface AtRest {
  readonly monitorFiles: number;
  readonly monitorChildren: number;
  readonly sockets: number;
  readonly rules: number;
  readonly elements: number;
}

export interface LongRun {
  readonly options: LongRunOptions;
  readonly seconds: number;
  readonly samples: readonly Sample[];
  readonly heaps: readonly HeapSample[];
  readonly requests: Requests;
  readonly replacements: readonly Replacement[];
  readonly excuses: readonly Excuse[];
  readonly starts: number;
  readonly stops: number;
  /** Of the engine, from the request to create a container until it ran. */
  readonly startMillis: readonly number[];
  /** Without clients. */
  readonly before: AtRest;
  readonly after: AtRest;
  readonly monitorCpuSeconds: number;
  readonly load: readonly number[];
}

/** So small that addresses change hands within seconds. */
const NETWORK = { name: 'churn', subnet: '172.30.0.0/24' };
/** What the network has room for, with those that come before others are gone. */
export const MAX_CLIENTS = 240;
const MONITOR = 'monitor';
const LOOK_MILLIS = 250;
const SAMPLE_SECONDS = 5;
const HEAP_SECONDS = 60;
const READ_SECONDS = 1;
const REST_SAMPLES = 10;
const REST_SAMPLE_MILLIS = 1_000;

/** Clients come and go, proxies are replaced, and what monitor and proxy hold is looked at all the time. */
export async function runLong(options: LongRunOptions): Promise<LongRun> {
  await using scenario = await Scenario.start({ wiring: 'host' });
  try {
    return await runIn(scenario, options);
  } catch (error) {
    // What it says is gone with the VM.
    const { stdout, stderr } = await scenario.vm.engine.run(['logs', '--tail', '40', MONITOR]);
    const state = await scenario.vm.engine.run(['inspect', '--format', '{{json .State}}', MONITOR]);
    options.progress(`The monitor: ${state.stdout}${stdout}${stderr}`);
    throw error;
  }
}

async function runIn(scenario: Scenario, options: LongRunOptions): Promise<LongRun> {
  const { minutes, clients, rate, replaceSeconds, pauseSeconds, progress } = options;
  await scenario.startMonitorContainer({ name: MONITOR });
  const monitorPid = Number(await scenario.docker('inspect', '--format', '{{.State.Pid}}', MONITOR));
  const monitor = identify(monitorPid);
  if (monitor === undefined) throw new Error('the monitor has ended');
  const replacements = new Replacements(scenario);
  await replacements.startFirst();
  await scenario.docker('network', 'create', '--subnet', NETWORK.subnet, NETWORK.name);
  // Node's inspector holds files of its own, so it is opened first.
  await liveHeapMegabytes(monitorPid);
  const before = await atRest(scenario, monitorPid);

  const folder = join(scenario.vm.directory, 'requests');
  mkdirSync(folder);
  closeSync(openSync(join(folder, REQUESTS_FILE), 'a'));
  const requests = new Requests(join(folder, REQUESTS_FILE));
  const api = new EngineApi(scenario.vm.engine);
  const churn = new Churn({
    api,
    requests,
    network: NETWORK.name,
    folder,
    clients,
    rate,
    pauseSeconds,
  });
  progress(`Starting ${clients} containers`);
  const fillMillis = performance.now();
  await churn.fill(() => {
    requests.read();
    if (!isAlive(monitor)) throw new Error(`the monitor has ended, with ${churn.alive} containers`);
  });
  progress(`They run after ${((performance.now() - fillMillis) / 1_000).toFixed(0)} s`);

  const cpuBefore = await monitorCpuSeconds(scenario);
  const startMillis = performance.now();
  const endMillis = startMillis + minutes * 60_000;
  const isOver = () => options.stop.aborted || performance.now() >= endMillis;
  const samples: Sample[] = [];
  const heaps: HeapSample[] = [];
  const elapsedSeconds = () => (performance.now() - startMillis) / 1_000;

  const sample = async () => {
    const pid = replacements.pid;
    const vm = await vmSample(scenario);
    samples.push({
      seconds: elapsedSeconds(),
      monitor: programSample(monitorPid),
      ...unlessGone(() => ({ proxy: programSample(pid) })),
      ...vm,
      clients: churn.alive,
      starts: churn.starts,
      answered: requests.answered,
      failures: requests.failures.length,
    });
  };
  const measureHeaps = async (proxyPid: number) => {
    const [monitorMegabytes, proxyMegabytes] = await Promise.all([
      liveHeapMegabytes(monitorPid),
      liveHeapMegabytes(proxyPid),
    ]);
    const seconds = elapsedSeconds();
    heaps.push({
      seconds,
      starts: churn.starts,
      monitorMegabytes,
      proxyMegabytes,
    });
    progress(progressText(samples.at(-1), heaps.at(-1)!, requests, clients));
  };

  await Promise.all([
    churn.run(isOver),
    repeat(isOver, READ_SECONDS, () => {
      requests.read();
      return Promise.resolve();
    }),
    repeat(isOver, SAMPLE_SECONDS, sample),
    replacements.run(isOver, replaceSeconds, async pid => {
      if (replaceSeconds <= HEAP_SECONDS) await measureHeaps(pid);
    }),
    ...(replaceSeconds <= HEAP_SECONDS
      ? []
      : [
          repeat(isOver, HEAP_SECONDS, async () => {
            if (replacements.pid !== 0) await measureHeaps(replacements.pid);
          }),
        ]),
  ]);
  const seconds = elapsedSeconds();
  const monitorCpu = (await monitorCpuSeconds(scenario)) - cpuBefore;
  const { starts, stops } = churn;
  requests.read();

  progress('Stopping all containers');
  await churn.empty();
  const after = await settled(scenario, monitorPid);
  requests.close();
  return {
    options,
    seconds,
    samples,
    heaps,
    requests,
    replacements: replacements.done,
    excuses: replacements.excuses,
    starts,
    stops,
    startMillis: api.startMillis,
    before,
    after,
    monitorCpuSeconds: monitorCpu,
    load: loadavg(),
  };
}

/** The work again and again, at fixed times; never two at once. */
export async function repeat(
  isOver: () => boolean,
  everySeconds: number,
  work: () => Promise<void>,
): Promise<void> {
  let dueMillis = performance.now() + everySeconds * 1_000;
  for (;;) {
    while (performance.now() < dueMillis && !isOver())
      await sleep(Math.min(LOOK_MILLIS, Math.max(0, dueMillis - performance.now())));
    if (isOver()) return;
    await work();
    dueMillis = Math.max(dueMillis + everySeconds * 1_000, performance.now());
  }
}

/** The least that was seen in some seconds: the health check and the look at the rules come and go. */
async function atRest(scenario: Scenario, monitorPid: number): Promise<AtRest> {
  const seen: Held[] = [];
  for (let count = 0; count < REST_SAMPLES; count += 1) {
    await sleep(REST_SAMPLE_MILLIS);
    seen.push({ monitor: programSample(monitorPid), ...(await vmSample(scenario)) });
  }
  const least = (read: (sample: Held) => number) => Math.min(...seen.map(read));
  return {
    monitorFiles: least(({ monitor }) => monitor.files),
    monitorChildren: least(({ monitor }) => monitor.children),
    sockets: least(({ sockets }) => sockets),
    rules: least(({ rules }) => rules),
    elements: least(({ elements }) => elements),
  };
}

/** When the monitor knows that no client is left, and has had a moment to rest. */
async function settled(scenario: Scenario, monitorPid: number): Promise<AtRest> {
  await waitUntil(async () => (await scenario.status()).clients.length === 0, {
    what: 'the monitor to know that all clients are gone',
    timeoutMillis: 120_000,
  });
  return await atRest(scenario, monitorPid);
}

async function monitorCpuSeconds(scenario: Scenario): Promise<number> {
  const metrics = await scenario.vm.exec(['curl', '--silent', 'http://127.0.0.1:9180/metrics']);
  return Number(/^msi_monitor_process_cpu_seconds_total (\S+)$/m.exec(metrics)?.[1]);
}

function unlessGone<T extends object>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined; // a proxy that is being replaced
  }
}

function progressText(
  sample: Sample | undefined,
  { seconds, starts, monitorMegabytes, proxyMegabytes }: HeapSample,
  requests: Requests,
  clients: number,
): string {
  const { monitor, clients: alive = 0 } = sample ?? {};
  return [
    `${(seconds / 60).toFixed(1)} min: ${(starts / seconds).toFixed(2)} starts a second, ${alive} of ${clients} containers`,
    `monitor ${monitor?.residentMegabytes ?? '?'} MB (live ${monitorMegabytes.toFixed(1)}), ${monitor?.files ?? '?'} files`,
    `proxy live ${proxyMegabytes.toFixed(1)} MB`,
    `${requests.answered} answered, ${requests.failures.length} failed, ${requests.wrongIdentities} wrong, ${requests.strangersServed} strangers served`,
  ].join('; ');
}
