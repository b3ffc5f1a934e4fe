import { join } from 'node:path';
import { mustRun } from '../../test/lab/index.ts';
import { boundTo, type CpuList } from './binding.ts';

const REPORT_SCRIPT = join(import.meta.dirname, '../load/report.lua');

export interface ClosedLoopOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
  readonly cpus?: CpuList | undefined;
}

/** What so many connections got that each send their next request when they have the answer to the last. */
export interface ClosedLoopResult {
  readonly requests: number;
  readonly durationMicros: number;
  readonly p50Micros: number;
  readonly p90Micros: number;
  readonly p99Micros: number;
  readonly maxMicros: number;
  /** Connections refused or lost, and answers that did not come. */
  readonly socketErrors: number;
  /** Answers with a status of 400 or more. */
  readonly statusErrors: number;
}

/** Loads a server as much as it takes, with wrk. */
export async function closedLoop(options: ClosedLoopOptions): Promise<ClosedLoopResult> {
  const { url, headers, connections, seconds, cpus } = options;
  const output = await mustRun(
    boundTo(cpus, [
      ...(['wrk', '--threads', '1', '--connections', String(connections)] as const),
      ...['--duration', `${seconds}s`, '--timeout', '10s', '--script', REPORT_SCRIPT],
      ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
      url,
    ]),
    { timeoutMillis: (seconds + 30) * 1_000 },
  );
  const line = output.split('\n').find(text => text.startsWith('{'));
  if (line === undefined) throw new Error(`wrk did not report: ${output}`);
  return JSON.parse(line) as ClosedLoopResult;
}
