import type { MetricDefinition } from './definition.ts';

/** What every program tells about its process. The names begin with the program's, so that one scrape can hold both. */
export function processMetrics<Prefix extends string>(prefix: Prefix) {
  return {
    memory: {
      name: `${prefix}_process_resident_memory_bytes`,
      type: 'gauge',
      help: 'Resident memory of the process.',
    },
    cpu: {
      name: `${prefix}_process_cpu_seconds_total`,
      type: 'counter',
      help: 'User and system CPU time of the process.',
    },
    startTime: {
      name: `${prefix}_process_start_time_seconds`,
      type: 'gauge',
      help: 'When the process started, in seconds since 1970.',
    },
  } as const satisfies Record<string, MetricDefinition>;
}

/** What is read of the process. */
export interface ProcessUsage {
  readonly residentBytes: number;
  readonly cpuMicros: number;
}

export function processNumbers({ residentBytes, cpuMicros }: ProcessUsage, startedAtMillis: number) {
  return { memory: [residentBytes], cpu: [cpuMicros / 1e6], startTime: [startedAtMillis / 1_000] };
}
