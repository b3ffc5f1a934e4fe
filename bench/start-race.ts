// npm run bench:start-race [-- --starts N --only nat,attach-at-create]: containers whose first instruction is a token request, on a real
// engine in a simulated VM, for each way of wiring. Prints which first requests were not served, and how much later than
// without the product the others were.
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { CLIENT_LABEL, IDENTITY_LABEL, IMDS_ADDRESS } from '@msi-proxy/shared';
import { DEFAULT_APP_IDENTITY } from '../packages/imds-emulator/src/vm/default-vm.ts';
import { runMain } from '../scripts/lib/run-main.ts';
import { Scenario, type Wiring } from '../test/e2e/support/scenario.ts';
import { EngineApi, tokenClaims, tokenPath } from '../test/lab/index.ts';
import { wiredMillisOf } from './lib/monitor-log.ts';
import { quantile } from './lib/statistics.ts';

const RESOURCE = 'https://vault.azure.net';
const REQUEST_TIMEOUT_SECONDS = 10;
const LINK_NETWORK = 'msi-proxy-link';
/** Debian's curl does not count its tries, but waits so long before another one. */
const RETRY_MILLIS = 900;
/** Says after what a command prints how many milliseconds it took. */
const TIMED = 'begin=$(date +%s%3N); "$@"; end=$(date +%s%3N); echo " $((end - begin))"';

interface Way {
  readonly key: string;
  readonly name: string;
  /** Absent: no monitor and no proxy. */
  readonly wiring?: Wiring;
  readonly guard?: 'enforce' | 'off';
  /** Whether the container is on the network of `attach` before anybody starts it. */
  readonly isConnectedFirst?: boolean;
  /** Whether the client asks once more, after a second, when its connection is refused. */
  readonly triesAgain?: boolean;
}

const BASELINE: Way = { key: 'baseline', name: 'without the product' };

const WAYS: readonly Way[] = [
  { key: 'host', name: 'host', wiring: 'host' },
  {
    key: 'attach-named',
    name: 'attach, network named at creation',
    wiring: 'attach',
    guard: 'off',
    isConnectedFirst: true,
  },
  { key: 'attach-at-create', name: 'attach at create, no guard', wiring: 'attach', guard: 'off' },
  {
    key: 'attach-guarded',
    name: 'attach at create, with guard',
    wiring: 'attach',
    guard: 'enforce',
  },
  {
    key: 'attach-guarded-retry',
    name: 'attach at create, with guard, client tries again',
    wiring: 'attach',
    guard: 'enforce',
    triesAgain: true,
  },
  { key: 'nat', name: 'nat', wiring: 'nat' },
];

interface Start {
  /** `direct`: answered, but not by the proxy with the container's own identity. */
  readonly outcome: 'served' | 'direct' | 'failed';
  readonly millis: number;
  /** How often it asked once more. */
  readonly retries: number;
  readonly detail: string;
}

await runMain(async () => {
  const { values } = parseArgs({
    options: { starts: { type: 'string', default: '200' }, only: { type: 'string' } },
  });
  const count = Number(values.starts);
  if (!Number.isInteger(count) || count < 1)
    throw new Error(`--starts is ${values.starts}: expected a number above 0`);
  const wanted = values.only?.split(',') ?? WAYS.map(({ key }) => key);
  const unknown = wanted.filter(key => !WAYS.some(way => way.key === key));
  if (unknown.length > 0)
    throw new Error(`--only names ${unknown.join(', ')}: expected ${WAYS.map(({ key }) => key).join(', ')}`);
  let baselineMillis: number | undefined;
  console.log(
    '| way | starts | failed | past the proxy | asked again | request, median | p99 | slowest | added at the median | wired after start, median, p99 |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const way of [BASELINE, ...WAYS.filter(({ key }) => wanted.includes(key))]) {
    const isBaseline = way.wiring === undefined;
    const { starts, wiredMillis } = await measure(way, count);
    const answered = starts.filter(({ outcome }) => outcome !== 'failed').map(({ millis }) => millis);
    const median = quantile(answered, 0.5);
    if (isBaseline) baselineMillis = median;
    const added = baselineMillis === undefined || isBaseline ? '' : millisText(median - baselineMillis);
    const cells = [
      way.name,
      starts.length,
      countOf(starts, 'failed'),
      isBaseline ? '' : countOf(starts, 'direct'),
      starts.filter(({ retries }) => retries > 0).length,
      millisText(median),
      millisText(quantile(answered, 0.99)),
      millisText(Math.max(...answered)),
      added,
      wiredMillis.length === 0
        ? ''
        : `${quantile(wiredMillis, 0.5)} ms, ${quantile(wiredMillis, 0.99)} ms (${wiredMillis.length})`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
    const details = new Set(starts.filter(({ outcome }) => outcome === 'failed').map(({ detail }) => detail));
    for (const detail of details) console.log(`  failed: ${detail}`);
  }
  console.log(
    `Load of the machine at the end (1, 5, 15 minutes): ${loadavg()
      .map(load => load.toFixed(1))
      .join(', ')}`,
  );
});

async function measure(way: Way, count: number): Promise<{ starts: Start[]; wiredMillis: number[] }> {
  const { wiring, guard = 'enforce' } = way;
  await using scenario = await Scenario.start({ wiring: wiring ?? 'host' });
  if (wiring !== undefined) {
    await scenario.startMonitor({ MSI_MONITOR_GUARD: guard });
    await scenario.startProxy();
    await scenario.untilServing();
    // The first token comes from IMDS; the race is not about that.
    await startOnce(scenario, 'first', way);
  }
  const starts: Start[] = [];
  for (let i = 0; i < count; i += 1) starts.push(await startOnce(scenario, `client-${i}`, way));
  return { starts, wiredMillis: wiring === undefined ? [] : wiredMillisOf(scenario.monitorLog()) };
}

/** One container, from its creation to its removal. */
async function startOnce(
  scenario: Scenario,
  name: string,
  { isConnectedFirst = false, triesAgain = false }: Way,
): Promise<Start> {
  const { engine } = scenario.vm;
  const api = new EngineApi(engine);
  const id = await api.create({
    name,
    labels: { [CLIENT_LABEL]: '', [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId },
    keepsOutput: true,
    command: [
      ...['sh', '-c', TIMED, 'sh'],
      ...['curl', '--silent', '--show-error', '--max-time', String(REQUEST_TIMEOUT_SECONDS)],
      ...(triesAgain ? ['--retry', '1', '--retry-delay', '1', '--retry-connrefused'] : []),
      ...['--header', 'Metadata: true', '--write-out', '\n%{http_code} %{time_total}'],
      `http://${IMDS_ADDRESS}${tokenPath(RESOURCE)}`,
    ],
  });
  // The monitor may have been faster; either way it is there before the start.
  if (isConnectedFirst) await engine.run(['network', 'connect', LINK_NETWORK, name]);
  await api.start(id);
  const output = await api.output(id);
  await api.remove(id);
  return readStart(output);
}

function readStart(output: string): Start {
  const text = output.trimEnd();
  const end = text.lastIndexOf('\n');
  const [status = '', seconds = '0', wallMillis = '0'] = text.slice(end + 1).split(' ');
  const body = text.slice(0, Math.max(end, 0));
  const millis = Number(seconds) * 1_000;
  // curl tells of its last try only.
  const start = { millis, retries: Number(wallMillis) - millis >= RETRY_MILLIS ? 1 : 0 };
  if (status !== '200') return { ...start, outcome: 'failed', detail: `${status} ${body.trim()}` };
  // Before it may stand what curl said of the first try.
  const answer = body.slice(body.indexOf('{'));
  const { appid } = tokenClaims({ status: 200, body: answer, elapsedMillis: millis });
  const isOwn = appid === DEFAULT_APP_IDENTITY.clientId;
  return { ...start, outcome: isOwn ? 'served' : 'direct', detail: '' };
}

function countOf(starts: readonly Start[], outcome: Start['outcome']): number {
  return starts.filter(start => start.outcome === outcome).length;
}

function millisText(millis: number): string {
  return `${millis.toFixed(1)} ms`;
}
