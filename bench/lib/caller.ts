import { join } from 'node:path';
import { mustRun } from '../../test/lab/index.ts';
import { beforeAllOthers, boundTo, type CpuList } from './binding.ts';
import type { OpenLoopResult } from './open-loop.ts';

export interface CallerOptions {
  readonly host: string;
  readonly port: number;
  /** Loopback has many. */
  readonly ownAddress: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly expectedStatus: number;
  /** As SDKs send their probes. */
  readonly isNewConnectionEach: boolean;
}

export type CallerResult = Pick<
  OpenLoopResult,
  'requests' | 'failures' | 'wrongAnswers' | 'p50Micros' | 'p99Micros' | 'sentLateP99Micros'
>;

const SCRIPT = join(import.meta.dirname, '../load/caller.pl');

/** One caller that asks at a fixed rate, one request after the other, and goes before everything else on its CPUs. */
export async function askAtRate(
  { headers, target, isNewConnectionEach, ...options }: CallerOptions,
  cpus: CpuList | undefined,
): Promise<CallerResult> {
  const { host, port, ownAddress, ratePerSecond, seconds, expectedStatus } = options;
  const numbers = [ratePerSecond, seconds, expectedStatus, Number(isNewConnectionEach)].map(String);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const output = await mustRun(
    beforeAllOthers(boundTo(cpus, ['perl', SCRIPT, host, String(port), ownAddress, ...numbers])),
    {
      stdin: `GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`,
      timeoutMillis: (seconds + 30) * 1_000,
    },
  );
  return JSON.parse(output) as CallerResult;
}
