// npm run bench:crowd [-- --clients 200 --only host,nat]: so many containers as fast as a real engine starts them, each of which
// asks for a token as its first instruction and then every few seconds; then the proxy is replaced under them, in order and
// by a kill. Prints a table for each way of wiring.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runMain } from '../scripts/lib/run-main.ts';
import { Scenario, type Wiring } from '../test/e2e/support/scenario.ts';
import { EngineApi, waitUntil } from '../test/lab/index.ts';
import { Churn, REQUESTS_FILE } from '../test/long/churn.ts';
import { Requests, type Answered } from '../test/long/requests.ts';
import { logLines, wiredMillisOf } from './lib/monitor-log.ts';
import { median, quantile } from './lib/statistics.ts';
import { table } from './lib/tables.ts';

const WIRINGS = ['host', 'nat'] as const satisfies readonly Wiring[];
const NETWORK = { name: 'crowd', subnet: '172.30.0.0/23' };
const PAUSE_SECONDS = 2;
const TIMEOUT_MILLIS = 300_000;
const FIRST_PROXY = 'first';

type Row = readonly [what: string, seen: string, target: string];

await runMain(async () => {
  const { values } = parseArgs({
    options: { clients: { type: 'string', default: '200' }, only: { type: 'string' } },
  });
  const clients = Number(values.clients);
  if (!Number.isInteger(clients) || clients < 1 || clients > 500)
    throw new Error(`--clients is ${values.clients}: expected a number from 1 to 500`);
  const wanted = values.only?.split(',') ?? WIRINGS;
  for (const wiring of WIRINGS.filter(name => wanted.includes(name))) {
    console.log(`\n${wiring}, ${clients} containers:\n`);
    console.log(table(['', 'seen', 'target'], await measure(wiring, clients)));
    console.log(
      `\nLoad of the machine (1, 5, 15 minutes): ${loadavg()
        .map(load => load.toFixed(1))
        .join(', ')}`,
    );
  }
});

async function measure(wiring: Wiring, clients: number): Promise<Row[]> {
  await using scenario = await Scenario.start({ wiring });
  await scenario.startMonitor();
  await scenario.startProxy({ name: FIRST_PROXY });
  await scenario.untilServing(FIRST_PROXY);
  await scenario.docker('network', 'create', '--subnet', NETWORK.subnet, NETWORK.name);
  const folder = join(scenario.vm.directory, 'requests');
  mkdirSync(folder);
  closeSync(openSync(join(folder, REQUESTS_FILE), 'a'));
  const answered: Answered[] = [];
  const requests = new Requests(join(folder, REQUESTS_FILE), request => answered.push(request));
  const api = new EngineApi(scenario.vm.engine);
  const churn = new Churn({
    api,
    requests,
    network: NETWORK.name,
    folder,
    clients,
    rate: 1,
    pauseSeconds: PAUSE_SECONDS,
    strangers: false,
  });

  const beginMillis = performance.now();
  await churn.fill(() => requests.read());
  const fillSeconds = (performance.now() - beginMillis) / 1_000;
  await waitUntil(
    () => {
      requests.read();
      return requests.firsts.length === clients;
    },
    { what: 'all containers to be served', timeoutMillis: TIMEOUT_MILLIS },
  );
  const firsts = requests.firsts.map(({ beganAt, endedAt }) => endedAt - beganAt);
  const last = requests.firsts.toSorted((a, b) => a.beganAt - b.beganAt).at(-1)!;
  const startFailures = requests.failures.length;
  await untilAllWired(scenario, clients);
  const wired = wiredMillisOf(scenario.monitorLog());

  const planned = await replace(scenario, requests, answered, {
    clients,
    from: FIRST_PROXY,
    to: 'second',
    by: 'stop',
  });
  const killed = await replace(scenario, requests, answered, {
    clients,
    from: 'second',
    to: 'third',
    by: 'kill',
  });
  const isNat = wiring === 'nat';
  return [
    [
      'all started within',
      `${fillSeconds.toFixed(1)} s; the engine took ${median(api.startMillis).toFixed(0)} ms for a start at the median`,
      '',
    ],
    ['first requests that failed', `${startFailures} of ${clients}`, '0'],
    ['first request, median', millis(median(firsts)), isNat ? '' : '≤ 20 ms'],
    ['first request, p99', millis(quantile(firsts, 0.99)), ''],
    ['first request of the container that started last', millis(last.endedAt - last.beganAt), '≤ 300 ms'],
    ['wired and verified after the start, p50', millis(quantile(wired, 0.5)), isNat ? '≤ 30 ms' : '≤ 15 ms'],
    [
      'wired and verified after the start, p99',
      millis(quantile(wired, 0.99)),
      isNat ? '≤ 100 ms' : '≤ 50 ms',
    ],
    ...replacementRows('planned replacement', planned, isNat),
    ...replacementRows('killed, another one started', killed, isNat),
  ];
}

interface Replaced {
  readonly failures: number;
  /** Of those that began before the next proxy served, the longest wait from then on. */
  readonly longestWaitMillis: number;
  /** From the moment at which the next proxy served until all clients were sent to it; absent where none is wired singly. */
  readonly rewiredMillis?: number;
  /** The same, until a request from each had been answered by it. */
  readonly verifiedMillis?: number;
}

async function replace(
  scenario: Scenario,
  requests: Requests,
  answered: Answered[],
  { clients, from, to, by }: { clients: number; from: string; to: string; by: 'stop' | 'kill' },
): Promise<Replaced> {
  requests.read();
  const failuresBefore = requests.failures.length;
  if (by === 'stop') {
    await scenario.startProxy({ name: to });
    await scenario.untilStatus(
      `${to} to stand by`,
      ({ proxies }) => proxies.some(({ name, state }) => name === to && state === 'standby'),
      TIMEOUT_MILLIS,
    );
    await scenario.docker('stop', from);
  } else {
    const pid = Number(await scenario.docker('inspect', '--format', '{{.State.Pid}}', from));
    process.kill(pid, 'SIGKILL');
    await scenario.startProxy({ name: to });
  }
  await scenario.untilServing(to);
  await untilAllWired(scenario, clients);
  const lines = logLines(scenario.monitorLog());
  const served = lines.findLastIndex(({ msg }) => msg === `Proxy "${to}" serves`);
  const servesAt = Date.parse(lines[served]!.time);
  const sent = lines.slice(served).find(({ msg }) => msg.includes('were sent to the next proxy'));
  const verified = lines.slice(served).filter(({ msg }) => msg.includes('is wired by'));
  await waitUntil(
    () => {
      requests.read();
      const later = new Set(answered.filter(({ beganAt }) => beganAt > servesAt).map(({ name }) => name));
      return later.size === clients;
    },
    { what: `all clients to be served by ${to}`, timeoutMillis: TIMEOUT_MILLIS },
  );
  const waited = answered.filter(({ beganAt, endedAt }) => beganAt <= servesAt && endedAt > servesAt);
  return {
    failures: requests.failures.length - failuresBefore,
    longestWaitMillis: Math.max(0, ...waited.map(({ endedAt }) => endedAt - servesAt)),
    ...(sent !== undefined && { rewiredMillis: Date.parse(sent.time) - servesAt }),
    ...(verified.length > 0 && { verifiedMillis: Date.parse(verified.at(-1)!.time) - servesAt }),
  };
}

function replacementRows(
  name: string,
  { failures, longestWaitMillis, rewiredMillis, verifiedMillis }: Replaced,
  isNat: boolean,
): Row[] {
  return [
    [`${name}: failed requests`, String(failures), name.startsWith('planned') ? '0' : ''],
    [
      `${name}: longest wait after the next proxy served, of requests from before`,
      millis(longestWaitMillis),
      isNat ? '' : '≤ 200 ms',
    ],
    ...(isNat && rewiredMillis !== undefined
      ? [[`${name}: all wired to it after`, millis(rewiredMillis), '≤ 2,000 ms'] as const]
      : []),
    ...(isNat && verifiedMillis !== undefined
      ? [[`${name}: all verified after`, millis(verifiedMillis), ''] as const]
      : []),
  ];
}

async function untilAllWired(scenario: Scenario, clients: number): Promise<void> {
  await scenario.untilStatus(
    'all clients to be wired',
    status => status.clients.filter(({ state }) => state === 'wired').length === clients,
    TIMEOUT_MILLIS,
  );
}

function millis(value: number): string {
  return `${value.toFixed(1)} ms`;
}
