import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { ProcessState, ProcessUsage } from './process-metrics.ts';

/** Ten wake-ups a second cost nothing that could be measured, and see all that a client would notice. */
const RESOLUTION_MILLIS = 100;
const WINDOW_MILLIS = 15_000;

/**
 * Reads what is shown of the process. Several may read it: a window begins anew at the first read after it is over, so that
 * whoever reads seldom misses nothing in between.
 */
export class ProcessWatch {
  readonly #usage: () => ProcessUsage;
  readonly #delay: IntervalHistogram;
  #windowStartMillis = performance.now();
  #lastWindowMillis = 0;
  #lastUsage: ProcessUsage = { residentBytes: 0, cpuMicros: 0 };
  #lastOpenFiles = 0;

  constructor(usage: () => ProcessUsage) {
    this.#usage = usage;
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS });
    this.#delay.enable();
  }

  /** Never fails: a process that may open no more files, by which all of this is read, shows what was read last. */
  read(): ProcessState {
    const lagMillis = Math.max(this.#delay.max / 1e6 - RESOLUTION_MILLIS, 0);
    const eventLoopLagMillis = Math.max(lagMillis, this.#lastWindowMillis);
    if (performance.now() - this.#windowStartMillis >= WINDOW_MILLIS) {
      this.#lastWindowMillis = lagMillis;
      this.#windowStartMillis = performance.now();
      this.#delay.reset();
    }
    this.#lastUsage = attempt(this.#usage) ?? this.#lastUsage;
    this.#lastOpenFiles = attempt(countOpenFiles) ?? this.#lastOpenFiles;
    return { ...this.#lastUsage, openFiles: this.#lastOpenFiles, eventLoopLagMillis };
  }

  stop(): void {
    this.#delay.disable();
  }
}

/** @throws {Error} where there is no such folder, which is Linux's, and when no more files may be opened */
function countOpenFiles(): number {
  // Without the one that reads this folder.
  return readdirSync('/proc/self/fd').length - 1;
}

function attempt<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
