import type { InitialServiceState } from '../switches.ts';
import { WindowsError } from './windows-error.ts';

export type StartType = 'Automatic' | 'Manual' | 'Disabled';

export interface ServiceOptions {
  readonly name: string;
  readonly start: () => Promise<void>;
  readonly stop: () => void;
  /** Of the service before the machine starts it. */
  readonly initially: Exclude<InitialServiceState, 'absent'>;
}

/** A service of the service control manager. */
export class Service {
  readonly name: string;
  readonly #start: () => Promise<void>;
  readonly #stop: () => void;
  startType: StartType;
  #isRunning = false;

  constructor({ name, start, stop, initially }: ServiceOptions) {
    this.name = name;
    this.#start = start;
    this.#stop = stop;
    this.startType = initially === 'running' ? 'Automatic' : initially === 'disabled' ? 'Disabled' : 'Manual';
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Does nothing when it runs. @throws {WindowsError} when it is disabled (1058) */
  async start(): Promise<void> {
    if (this.#isRunning) return;
    if (this.startType === 'Disabled') throw new WindowsError(1058);
    this.#isRunning = true;
    await this.#start();
  }

  /** Does nothing when it does not run. */
  stop(): void {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#stop();
  }
}
