import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../e2e/support/scenario.ts';
import type { Excuse } from './requests.ts';

export type ReplacementKind = 'planned' | 'killed';

export interface Replacement {
  readonly kind: ReplacementKind;
  /** From the stop or the kill of the old proxy until the new one served. */
  readonly millis: number;
}

/** Each so many-th proxy is killed, with nobody to take over. */
const KILLED_EVERY = 3;
const LOOK_MILLIS = 250;
const TIMEOUT_MILLIS = 120_000;

/** Replaces the proxy again and again: mostly as an operator does, sometimes as a crash does. */
export class Replacements {
  readonly #scenario: Scenario;
  readonly #done: Replacement[] = [];
  readonly #excuses: Excuse[] = [];
  #name = 'proxy-0';
  #pid = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  get done(): readonly Replacement[] {
    return this.#done;
  }

  /** When there was no proxy. */
  get excuses(): readonly Excuse[] {
    return this.#excuses;
  }

  /** Process id of the one that serves; 0 while it changes. */
  get pid(): number {
    return this.#pid;
  }

  async startFirst(): Promise<void> {
    await this.#scenario.startProxy({ name: this.#name });
    await this.#scenario.untilServing(this.#name);
    this.#pid = await this.#pidOf(this.#name);
  }

  /**
   * @param beforeEach is called before a proxy goes
   */
  async run(
    isOver: () => boolean,
    everySeconds: number,
    beforeEach: (pid: number) => Promise<void>,
  ): Promise<void> {
    for (let number = 1; ; number += 1) {
      const dueMillis = performance.now() + everySeconds * 1_000;
      while (performance.now() < dueMillis && !isOver()) await sleep(LOOK_MILLIS);
      if (isOver()) return;
      await beforeEach(this.#pid);
      await this.#replace(`proxy-${number}`, number % KILLED_EVERY === 0 ? 'killed' : 'planned');
    }
  }

  async #replace(next: string, kind: ReplacementKind): Promise<void> {
    const previous = this.#name;
    const previousPid = this.#pid;
    this.#pid = 0;
    let beganAt: number;
    if (kind === 'planned') {
      await this.#scenario.startProxy({ name: next });
      await this.#scenario.untilStatus(
        `${next} to stand by`,
        ({ proxies }) => proxies.some(({ name, state }) => name === next && state === 'standby'),
        TIMEOUT_MILLIS,
      );
      beganAt = Date.now();
      await Promise.all([this.#scenario.docker('stop', previous), this.#untilServing(next)]);
    } else {
      beganAt = Date.now();
      process.kill(previousPid, 'SIGKILL');
      await this.#scenario.startProxy({ name: next });
      await this.#untilServing(next);
      this.#excuses.push({ from: beganAt, to: Date.now() });
    }
    this.#done.push({ kind, millis: Date.now() - beganAt });
    await this.#scenario.removeContainers(previous);
    this.#name = next;
    this.#pid = await this.#pidOf(next);
  }

  async #untilServing(proxy: string): Promise<void> {
    await this.#scenario.untilStatus(
      `${proxy} to serve`,
      ({ proxies }) => proxies.some(({ name, state }) => name === proxy && state === 'serving'),
      TIMEOUT_MILLIS,
    );
  }

  async #pidOf(container: string): Promise<number> {
    return Number(await this.#scenario.docker('inspect', '--format', '{{.State.Pid}}', container));
  }
}
