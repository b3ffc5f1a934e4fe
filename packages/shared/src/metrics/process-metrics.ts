import type { MetricDefinition } from './definition.ts';

/** What every program tells about its process. The names begin with the program's, so that one scrape can hold both. */
export function processMetrics<Prefix extends string>(prefix: Prefix) {
  return {
    buildInfo: {
      name: `${prefix}_build_info`,
      type: 'gauge',
      help: 'Always 1; the version of the program is its label.',
      openLabels: { version: 'of the program' },
    },
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
    openFiles: {
      name: `${prefix}_process_open_fds`,
      type: 'gauge',
      help: 'Files and sockets that the process has open; 0 where that cannot be read.',
    },
    eventLoopLag: {
      name: `${prefix}_process_event_loop_lag_seconds`,
      type: 'gauge',
      help: 'How late the event loop was at most, in the last 15 to 30 seconds, or since the scrape before the last one where that is longer ago.',
    },
  } as const satisfies Record<string, MetricDefinition>;
}

/** What is read of the process. */
export interface ProcessUsage {
  readonly residentBytes: number;
  readonly cpuMicros: number;
}

/** All that is shown of the process; see {@link ProcessWatch}. */
export interface ProcessState extends ProcessUsage {
  /** 0 where that cannot be read. */
  readonly openFiles: number;
  readonly eventLoopLagMillis: number;
}

export function processNumbers(state: ProcessState, startedAtMillis: number) {
  return {
    buildInfo: [1],
    memory: [state.residentBytes],
    cpu: [state.cpuMicros / 1e6],
    startTime: [startedAtMillis / 1_000],
    openFiles: [state.openFiles],
    eventLoopLag: [state.eventLoopLagMillis / 1_000],
  };
}
