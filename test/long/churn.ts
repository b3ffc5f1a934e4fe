import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENT_LABEL, IDENTITY_LABEL } from '@msi-proxy/shared';
import { DEFAULT_APP_IDENTITY, DEFAULT_DATA_IDENTITY } from '@msi-proxy/imds-emulator';
import { tokenPath, type EngineApi } from '../lab/index.ts';
import type { Requests } from './requests.ts';

export interface ChurnOptions {
  readonly api: EngineApi;
  readonly requests: Requests;
  readonly network: string;
  /** Folder of the machine that the clients write to. */
  readonly folder: string;
  /** How many containers run all the time. */
  readonly clients: number;
  /** Starts a second, and as many stops. */
  readonly rate: number;
  readonly pauseSeconds: number;
  /** Whether some have no label; they do unless told otherwise. */
  readonly strangers?: boolean;
}

interface Running {
  readonly name: string;
  readonly id: string;
}

const SHARED_FOLDER = '/shared';
export const REQUESTS_FILE = 'requests';

const RESOURCE = 'https://vault.azure.net';
const IDENTITIES = [DEFAULT_APP_IDENTITY, DEFAULT_DATA_IDENTITY];
/** One of so many containers has no label: its address is a client's before and after it. */
const STRANGER_EVERY = 20;

/** More at once makes an engine on two processors no faster. */
const CONCURRENCY = 6;

const script = readFileSync(new URL('client.sh', import.meta.url), 'utf8');

/** Containers that come and go, a given number of them alive. */
export class Churn {
  readonly #options: ChurnOptions;
  readonly #running: Running[] = [];
  readonly #changes = new Set<Promise<void>>();
  #begun = 0;
  #starts = 0;
  #stops = 0;
  #problem: unknown;

  constructor(options: ChurnOptions) {
    this.#options = options;
  }

  get alive(): number {
    return this.#running.length;
  }

  /** Since {@link fill}. */
  get starts(): number {
    return this.#starts;
  }

  get stops(): number {
    return this.#stops;
  }

  /**
   * Starts containers until there are as many as there should be.
   *
   * @param check is called again and again, and throws when there is no point in going on
   */
  async fill(check: () => void): Promise<void> {
    const { clients } = this.#options;
    while (this.#begun < clients || this.#changes.size > 0) {
      if (this.#begun < clients && this.#changes.size < CONCURRENCY) this.#change(() => this.#startOne());
      else await Promise.race(this.#changes);
      this.#throwProblem();
      check();
    }
    this.#starts = 0;
  }

  /** Replaces containers at the rate, or as fast as the engine can when that is less. */
  async run(isOver: () => boolean): Promise<void> {
    let dueMillis = performance.now();
    while (!isOver()) {
      this.#throwProblem();
      if (this.#changes.size >= CONCURRENCY) {
        await Promise.race(this.#changes);
        // What could not be done in time is not made up for.
        dueMillis = Math.max(dueMillis, performance.now());
        continue;
      }
      dueMillis += 1_000 / this.#options.rate;
      this.#change(() => this.#replaceOne());
      await sleep(Math.max(0, dueMillis - performance.now()));
    }
    await Promise.all(this.#changes);
    this.#throwProblem();
  }

  /** Stops all. */
  async empty(): Promise<void> {
    while (this.#running.length > 0 || this.#changes.size > 0) {
      if (this.#running.length > 0 && this.#changes.size < CONCURRENCY) this.#change(() => this.#stopOne());
      else await Promise.race(this.#changes);
    }
    this.#throwProblem();
  }

  #change(work: () => Promise<void>): void {
    const change = work()
      .catch((error: unknown) => (this.#problem ??= error))
      .then(() => undefined)
      .finally(() => this.#changes.delete(change));
    this.#changes.add(change);
  }

  #throwProblem(): void {
    if (this.#problem !== undefined) throw new Error('the churn cannot go on', { cause: this.#problem });
  }

  /** In this order, so that there are never fewer than there should be. */
  async #replaceOne(): Promise<void> {
    await this.#startOne();
    await this.#stopOne();
  }

  async #startOne(): Promise<void> {
    const { api, requests, network, folder, pauseSeconds, strangers = true } = this.#options;
    const number = this.#begun++;
    const name = `c-${number}`;
    const identity =
      strangers && number % STRANGER_EVERY === 0 ? undefined : IDENTITIES[number % IDENTITIES.length];
    requests.add(name, { objectId: identity?.objectId });
    const id = await api.create({
      name,
      command: [
        ...['bash', '-c', script, name],
        ...[`${SHARED_FOLDER}/${REQUESTS_FILE}`, tokenPath(RESOURCE), String(pauseSeconds)],
      ],
      labels: identity === undefined ? {} : { [CLIENT_LABEL]: '', [IDENTITY_LABEL]: identity.clientId },
      network,
      mount: `${folder}:${SHARED_FOLDER}`,
    });
    await api.start(id);
    this.#running.push({ name, id });
    this.#starts += 1;
  }

  async #stopOne(): Promise<void> {
    const [chosen] = this.#running.splice(Math.floor(Math.random() * this.#running.length), 1);
    if (chosen === undefined) return;
    this.#options.requests.stopping(chosen.name);
    await this.#options.api.remove(chosen.id);
    this.#stops += 1;
  }
}
