/** Time and timers as a dependency, so that tests can drive them. */
export interface Clock {
  /** Milliseconds since an arbitrary moment; never jumps when the wall clock is set. */
  monotonicMillis(): number;
  /** Wall clock, milliseconds since 1970 UTC. */
  wallMillis(): number;
  /** Calls back once after the delay. Disposing the handle cancels it. */
  setTimer(callback: () => void, delayMillis: number): Timer;
}

export interface Timer {
  cancel(): void;
}

/** The process's own clock. Timers do not keep the process alive. */
export const systemClock: Clock = {
  monotonicMillis: () => performance.now(),
  wallMillis: () => Date.now(),
  setTimer(callback, delayMillis) {
    const handle = setTimeout(callback, delayMillis).unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
