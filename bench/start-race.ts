// npm run bench:start-race [-- --starts N --only NAME]: containers whose first instruction is a token request, on a real
// engine in a simulated VM, for each way of wiring. Prints which first requests were not served, and how much later than
// without the product the others were.
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { CLIENT_LABEL, IDENTITY_LABEL, IMDS_ADDRESS } from '@msi-proxy/shared';
import { DEFAULT_APP_IDENTITY } from '../packages/imds-emulator/src/vm/default-vm.ts';
import { runMain } from '../scripts/lib/run-main.ts';
import { Scenario, type Wiring } from '../test/e2e/support/scenario.ts';
import { BASE_IMAGE, tokenClaims, tokenPath } from '../test/lab/index.ts';

const RESOURCE = 'https://vault.azure.net';
const REQUEST_TIMEOUT_SECONDS = 10;
const LINK_NETWORK = 'msi-proxy-link';

interface Way {
  readonly name: string;
  /** Absent: no monitor and no proxy. */
  readonly wiring?: Wiring;
  readonly guard?: 'enforce' | 'off';
  /** Whether the container is on the network of `attach` before anybody starts it. */
  readonly isConnectedFirst?: boolean;
}

const WAYS: readonly Way[] = [
  { name: 'without the product' },
  { name: 'host', wiring: 'host' },
  { name: 'attach, network named at creation', wiring: 'attach', guard: 'off', isConnectedFirst: true },
  { name: 'attach at create, no guard', wiring: 'attach', guard: 'off' },
  { name: 'attach at create, with guard', wiring: 'attach', guard: 'enforce' },
  { name: 'nat', wiring: 'nat' },
];

interface Start {
  /** `direct`: answered, but not by the proxy with the container's own identity. */
  readonly outcome: 'served' | 'direct' | 'failed';
  readonly millis: number;
  readonly detail: string;
}

await runMain(async () => {
  const { values } = parseArgs({
    options: { starts: { type: 'string', default: '200' }, only: { type: 'string' } },
  });
  const count = Number(values.starts);
  if (!Number.isInteger(count) || count < 1)
    throw new Error(`--starts is ${values.starts}: expected a number above 0`);
  let baselineMillis: number | undefined;
  console.log(
    '| way | starts | failed | past the proxy | request, median | p99 | slowest | added at the median |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const way of WAYS) {
    const isBaseline = way.wiring === undefined;
    if (!isBaseline && values.only !== undefined && way.name !== values.only) continue;
    const starts = await measure(way, count);
    const answered = starts.filter(({ outcome }) => outcome !== 'failed').map(({ millis }) => millis);
    const median = quantile(answered, 0.5);
    if (isBaseline) baselineMillis = median;
    const added = baselineMillis === undefined || isBaseline ? '' : millisText(median - baselineMillis);
    const cells = [
      way.name,
      starts.length,
      countOf(starts, 'failed'),
      isBaseline ? '' : countOf(starts, 'direct'),
      millisText(median),
      millisText(quantile(answered, 0.99)),
      millisText(Math.max(...answered)),
      added,
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

async function measure(
  { wiring, guard = 'enforce', isConnectedFirst = false }: Way,
  count: number,
): Promise<Start[]> {
  await using scenario = await Scenario.start({ wiring: wiring ?? 'host' });
  if (wiring !== undefined) {
    await scenario.startMonitor({ MSI_MONITOR_GUARD: guard });
    await scenario.startProxy();
    await scenario.untilServing();
    // The first token comes from IMDS; the race is not about that.
    await startOnce(scenario, 'first', isConnectedFirst);
  }
  const starts: Start[] = [];
  for (let i = 0; i < count; i += 1) starts.push(await startOnce(scenario, `client-${i}`, isConnectedFirst));
  return starts;
}

/** One container, from its creation to its removal. */
async function startOnce(scenario: Scenario, name: string, isConnectedFirst: boolean): Promise<Start> {
  const { engine } = scenario.vm;
  const container = [
    ...[
      '--name',
      name,
      '--label',
      CLIENT_LABEL,
      '--label',
      `${IDENTITY_LABEL}=${DEFAULT_APP_IDENTITY.clientId}`,
    ],
    BASE_IMAGE,
    ...['curl', '--silent', '--show-error', '--max-time', String(REQUEST_TIMEOUT_SECONDS)],
    ...['--header', 'Metadata: true', '--write-out', '\n%{http_code} %{time_total}'],
    `http://${IMDS_ADDRESS}${tokenPath(RESOURCE)}`,
  ];
  let output;
  if (isConnectedFirst) {
    await engine.docker(['create', ...container]);
    // The monitor may have been faster; either way it is there before the start.
    await engine.run(['network', 'connect', LINK_NETWORK, name]);
    output = await engine.run(['start', '--attach', name]);
  } else {
    output = await engine.run(['run', ...container]);
  }
  await engine.docker(['rm', '--force', '--volumes', name]);
  return readStart(output);
}

function readStart({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): Start {
  const end = stdout.lastIndexOf('\n');
  const [status = '', seconds = '0'] = stdout.slice(end + 1).split(' ');
  const body = stdout.slice(0, Math.max(end, 0));
  const millis = Number(seconds) * 1_000;
  if (status !== '200') return { outcome: 'failed', millis, detail: `${status} ${body || stderr.trim()}` };
  const { appid } = tokenClaims({ status: 200, body, elapsedMillis: millis });
  const isOwn = appid === DEFAULT_APP_IDENTITY.clientId;
  return { outcome: isOwn ? 'served' : 'direct', millis, detail: '' };
}

function countOf(starts: readonly Start[], outcome: Start['outcome']): number {
  return starts.filter(start => start.outcome === outcome).length;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function millisText(millis: number): string {
  return `${millis.toFixed(1)} ms`;
}
