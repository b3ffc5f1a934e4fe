import { join } from 'node:path';
import { mustRun } from '../../test/lab/index.ts';
import { boundTo, type CpuList } from './binding.ts';

export interface OpenLoopOptions {
  readonly host: string;
  readonly port: number;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly ratePerSecond: number;
  readonly seconds: number;
  /** Kept open; requests wait for a free one. */
  readonly connections: number;
  readonly expectedStatus: number;
}

/** Latencies from the moment at which each request was due. */
export interface OpenLoopResult {
  readonly requests: number;
  /** Not answered, or with another status. */
  readonly failures: number;
  /** Those of them that had another status. */
  readonly wrongAnswers: number;
  readonly p50Micros: number;
  readonly p90Micros: number;
  readonly p99Micros: number;
  readonly p999Micros: number;
  readonly maxMicros: number;
  /** How late the generator itself was; what it says is no finer than this. */
  readonly sentLateP99Micros: number;
}

const WORKER = join(import.meta.dirname, '../load/open-loop-worker.ts');

/** Sends requests at a fixed rate, whatever becomes of them. */
export async function openLoop(options: OpenLoopOptions, cpus: CpuList | undefined): Promise<OpenLoopResult> {
  const output = await mustRun(
    boundTo(cpus, [process.execPath, '--conditions=@msi-proxy/source', WORKER, JSON.stringify(options)]),
    { timeoutMillis: (options.seconds + 30) * 1_000 },
  );
  return JSON.parse(output) as OpenLoopResult;
}
