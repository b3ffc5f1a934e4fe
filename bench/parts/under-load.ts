import { table } from '../lib/tables.ts';
import { askAtRate, type CallerResult } from '../lib/caller.ts';
import type { BenchContext, Part } from '../lib/part.ts';
import { PRODUCT_SIDE, withSides, type Side } from '../lib/sides.ts';
import { median } from '../lib/statistics.ts';
import { IMDS_HEADERS, workload } from '../lib/workloads.ts';
import { closedLoop } from '../lib/wrk.ts';

const GREEDY_CONNECTIONS = 32;
const TOKEN = workload('token');

/** What somebody else gets while one container asks for as much as it can. */
interface Victim {
  readonly name: string;
  readonly title: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expectedStatus: number;
  readonly isNewConnectionEach: boolean;
}

const VICTIMS: readonly Victim[] = [
  {
    name: 'probe',
    title: 'an SDK’s probe (no `Metadata`), a connection each',
    headers: { Host: IMDS_HEADERS.Host },
    expectedStatus: 400,
    isNewConnectionEach: true,
  },
  {
    name: 'token',
    title: 'a kept token, over a kept connection',
    headers: IMDS_HEADERS,
    expectedStatus: 200,
    isNewConnectionEach: false,
  },
];

export interface UnderLoad {
  readonly victim: Victim['name'];
  readonly load: 'none' | 'greedy';
  readonly rounds: readonly CallerResult[];
}

/** Other containers beside a greedy one: latencies at 200 requests a second, with and without it. */
export const underLoad: Part = {
  name: 'under-load',
  isQuickToo: false,
  run: async context => {
    const measured: UnderLoad[] = [];
    await withSides(context, { names: [PRODUCT_SIDE], arePinned: true }, async ([side]) => {
      // The first token comes from the upstream, and the first seconds from the interpreter.
      await beGreedy(side!, context, 3);
      for (const victim of VICTIMS) {
        const alone: CallerResult[] = [];
        const crowded: CallerResult[] = [];
        for (let round = 0; round < 5; round += 1) {
          alone.push(await ask(side!, victim, context));
          const [result] = await Promise.all([ask(side!, victim, context), beGreedy(side!, context, 6)]);
          crowded.push(result);
          context.progress(
            `  ${round + 1}/5 ${victim.name.padEnd(6)} alone p99 ${alone.at(-1)!.p99Micros} µs  beside p99 ${crowded.at(-1)!.p99Micros} µs`,
          );
        }
        measured.push({ victim: victim.name, load: 'none', rounds: alone });
        measured.push({ victim: victim.name, load: 'greedy', rounds: crowded });
      }
    });
    return { markdown: textOf(measured), data: measured, faults: faultsOf(measured) };
  },
};

async function ask({ host, port }: Side, victim: Victim, { loadCpus }: BenchContext) {
  const { headers, expectedStatus, isNewConnectionEach } = victim;
  return await askAtRate(
    {
      host,
      port,
      target: TOKEN.target,
      headers,
      ratePerSecond: 200,
      seconds: 5,
      expectedStatus,
      isNewConnectionEach,
      ownAddress: '127.0.0.2',
    },
    loadCpus,
  );
}

async function beGreedy({ host, port }: Side, { loadCpus }: BenchContext, seconds: number): Promise<void> {
  const url = `http://${host}:${port}${TOKEN.target}`;
  await closedLoop({ url, headers: IMDS_HEADERS, connections: GREEDY_CONNECTIONS, seconds, cpus: loadCpus });
}

function textOf(measured: readonly UnderLoad[]): string {
  const rows = measured.map(({ victim, load, rounds }) => {
    const of = (name: 'p50Micros' | 'p99Micros' | 'sentLateP99Micros') =>
      median(rounds.map(round => round[name])).toFixed(0);
    const alone = measured.find(other => other.victim === victim && other.load === 'none')!;
    const p99 = (each: UnderLoad) => median(each.rounds.map(round => round.p99Micros));
    return [
      VICTIMS.find(({ name }) => name === victim)!.title,
      load === 'none'
        ? 'nobody else'
        : `a container with ${GREEDY_CONNECTIONS} connections, as fast as possible`,
      of('p50Micros'),
      of('p99Micros'),
      (p99({ victim, load, rounds }) / p99(alone)).toFixed(2),
      of('sentLateP99Micros'),
    ];
  });
  return table(['asked for', 'beside', 'p50, µs', 'p99, µs', '× alone', 'generator late at p99, µs'], rows);
}

function faultsOf(measured: readonly UnderLoad[]): string[] {
  return measured.flatMap(({ victim, load, rounds }) => {
    const wrongAnswers = rounds.reduce((sum, round) => sum + round.wrongAnswers, 0);
    return wrongAnswers === 0 ? [] : [`${victim} beside ${load}: ${wrongAnswers} wrong answers`];
  });
}
