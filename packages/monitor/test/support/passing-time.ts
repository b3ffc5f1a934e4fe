import { setTimeout as delay } from 'node:timers/promises';
import type { FakeClock } from '@msi-proxy/shared/testing';

const STEP_MILLIS = 10;

/** Lets a fake clock go on by itself, so many times as fast as the system's. */
export class PassingTime implements AsyncDisposable {
  speed = 1;
  #isOver = false;
  readonly #passing: Promise<void>;

  constructor(clock: FakeClock) {
    this.#passing = this.#pass(clock);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#passing;
  }

  async #pass(clock: FakeClock): Promise<void> {
    while (!this.#isOver) {
      await delay(STEP_MILLIS);
      await clock.advance(STEP_MILLIS * this.speed);
    }
  }
}
