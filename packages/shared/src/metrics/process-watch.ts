import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { ProcessState, ProcessUsage } from './process-metrics.ts';

/** Ten wake-ups a second cost nothing that could be measured, and see all that a client would notice. */
const RESOLUTION_MILLIS = 100;
const WINDOW_MILLIS = 15_000;

/** Reads what is shown of the process. Several may read it: nothing begins anew because it was read. */
export class ProcessWatch {
  readonly #usage: () => ProcessUsage;
  readonly #delay: IntervalHistogram;
  #windowStartMillis = performance.now();
  #lastWindowMillis = 0;

  constructor(usage: () => ProcessUsage) {
    this.#usage = usage;
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS });
    this.#delay.enable();
  }

  read(): ProcessState {
    const lagMillis = Math.max(this.#delay.max / 1e6 - RESOLUTION_MILLIS, 0);
    const eventLoopLagMillis = Math.max(lagMillis, this.#lastWindowMillis);
    if (performance.now() - this.#windowStartMillis >= WINDOW_MILLIS) {
      this.#lastWindowMillis = lagMillis;
      this.#windowStartMillis = performance.now();
      this.#delay.reset();
    }
    return { ...this.#usage(), openFiles: countOpenFiles(), eventLoopLagMillis };
  }

  stop(): void {
    this.#delay.disable();
  }
}

function countOpenFiles(): number {
  try {
    // Without the one that reads this folder.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return 0; // Linux only
  }
}
