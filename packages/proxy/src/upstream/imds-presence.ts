import type { Clock } from '@msi-proxy/shared';
import type { Send } from './vm-extension.ts';

// The answer needs neither an identity nor a version.
const ASKED = '/metadata/versions';

const TIMEOUT_MILLIS = 2_000;
const RECHECK_MILLIS = 60_000;

/** Whether there is an IMDS at all, on a VM whose tokens do not come from it. One that has answered once is there. */
export class ImdsPresence {
  readonly #send: Send;
  readonly #clock: Clock;
  #check: Promise<boolean> | undefined;
  #validUntilMillis = 0;

  constructor({ send, clock }: { readonly send: Send; readonly clock: Clock }) {
    this.#send = send;
    this.#clock = clock;
  }

  /** Takes 2 s at most; while IMDS is absent, it is looked for once a minute. */
  async isPresent(): Promise<boolean> {
    if (this.#check === undefined || this.#clock.monotonicMillis() >= this.#validUntilMillis) {
      this.#validUntilMillis = this.#clock.monotonicMillis() + RECHECK_MILLIS;
      this.#check = this.#look();
    }
    return await this.#check;
  }

  async #look(): Promise<boolean> {
    try {
      await this.#send(ASKED, TIMEOUT_MILLIS);
    } catch {
      return false;
    }
    this.#validUntilMillis = Number.POSITIVE_INFINITY;
    return true;
  }
}
