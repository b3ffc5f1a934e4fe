import { symlink } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_APP_IDENTITY, DEFAULT_DATA_IDENTITY } from '@msi-proxy/imds-emulator';
import { Scenario, waitUntil, type Daemon } from './lab.ts';
import { holdingsOf, leaksBetween, type Holdings } from './leaks.ts';
import { Load } from './load.ts';
import { Preload } from './preload.ts';
import { judge, type Verdict, type Window } from './verdict.ts';

export interface Fault {
  readonly name: string;
  readonly title: string;
  /** How often it happens unless told otherwise. */
  readonly count: number;
  /** What one of `count` is; a fault unless said. */
  readonly unit?: string;
  readonly liveRestore?: boolean;
  /** Whether each request of the clients needs IMDS, instead of a token that the proxy keeps. */
  readonly fresh?: boolean;
  /** Settings of the monitor. */
  readonly monitorEnv?: Readonly<Record<string, string>>;
  /** Further arguments of `docker run` for the proxy. */
  readonly proxyArguments?: readonly string[];
  /** Whether nothing that monitor and proxy log can be written. */
  readonly logsFull?: boolean;
  /** Further arguments of `docker run` for the clients. */
  readonly clientArguments?: readonly string[];
  /** @returns what the figures do not show */
  readonly run: (bench: Bench, count: number) => Promise<string | undefined>;
}

export interface FaultResult extends Verdict {
  readonly fault: Fault;
  readonly count: number;
  readonly convergeMillis: readonly number[];
  readonly before: Holdings;
  readonly after: Holdings;
  readonly leaks: readonly string[];
  readonly seconds: number;
  /** Of the machine, the mean over one minute at the end. */
  readonly machineLoad: number;
  readonly remark?: string;
}

const REQUESTS_PER_SECOND = 20;
/** IMDS's budget for fresh tokens is small, and the proxy keeps to it. */
const FRESH_REQUESTS_PER_SECOND = 4;
const STRANGER_REQUESTS_PER_SECOND = 2;
const CONVERGENCE_TIMEOUT_MILLIS = 90_000;
const SETTLE_MILLIS = 3_000;
const REST_TIMEOUT_MILLIS = 60_000;
/** Each write to it fails as on a full disk. */
const FULL_DEVICE = '/dev/full';

/** A VM with the product, two clients with an identity each and a container without the label, all under load. */
export class Bench implements AsyncDisposable {
  readonly scenario: Scenario;
  readonly preload: Preload;
  readonly random: () => number;
  readonly #fault: Fault;
  readonly #excused: Window[] = [];
  readonly #convergeMillis: number[] = [];
  readonly #finished: { load: Load; requests: Awaited<ReturnType<Load['stop']>> }[] = [];
  #loads: Load[] = [];
  #monitor: Daemon | undefined;

  private constructor(scenario: Scenario, fault: Fault, random: () => number) {
    this.scenario = scenario;
    this.preload = new Preload(join(scenario.vm.directory, 'preload'));
    this.#fault = fault;
    this.random = random;
  }

  static async start(fault: Fault, seed: number): Promise<Bench> {
    const scenario = await Scenario.start({
      wiring: 'host',
      bundled: true,
      liveRestore: fault.liveRestore ?? false,
    });
    const bench = new Bench(scenario, fault, seededRandom(seed));
    try {
      await bench.#assemble();
    } catch (error) {
      await scenario[Symbol.asyncDispose]();
      throw error;
    }
    return bench;
  }

  get monitor(): Daemon {
    if (this.#monitor === undefined) throw new Error('there is no monitor');
    return this.#monitor;
  }

  async measure(count: number): Promise<FaultResult> {
    await this.startLoads();
    await sleep(SETTLE_MILLIS);
    const before = await this.#holdings();
    const start = performance.now();
    const remark = await this.#fault.run(this, count);
    const seconds = (performance.now() - start) / 1_000;
    await sleep(SETTLE_MILLIS);
    const after = await this.#holdingsAtRest(before);
    await this.stopLoads();
    return {
      fault: this.#fault,
      count,
      ...judge(
        this.#finished.map(({ load, requests }) => ({ objectId: load.objectId, requests })),
        this.#excused,
      ),
      convergeMillis: this.#convergeMillis,
      before,
      after,
      leaks: leaksBetween(before, after),
      seconds,
      machineLoad: loadavg()[0]!,
      ...(remark !== undefined && { remark }),
    };
  }

  /** While this runs, requests of clients may fail: there is no proxy, or no way to it or to IMDS. */
  async excuse<T>(breaks: () => Promise<T>): Promise<T> {
    const from = Date.now();
    try {
      return await breaks();
    } finally {
      this.#excused.push({ from, to: Date.now() });
    }
  }

  /** Waits until all is as it should be and clients are served, and keeps how long that took. */
  async converge(): Promise<void> {
    const start = performance.now();
    await this.untilServed();
    this.#convergeMillis.push(Math.round(performance.now() - start));
  }

  async untilServed(): Promise<void> {
    const atMillis = Date.now();
    await waitUntil(
      async () => {
        const { engine, guard, proxies, clients } = await this.scenario.status();
        return (
          engine.state === 'connected' &&
          guard.state === 'in-place' &&
          proxies.some(({ state }) => state === 'serving') &&
          ['alpha', 'beta'].every(name =>
            clients.some(client => client.name === name && client.state === 'wired'),
          ) &&
          this.#loads
            .filter(({ objectId }) => objectId !== undefined)
            .every(load =>
              load.requests.some(({ beganAt, outcome }) => beganAt >= atMillis && outcome === '200'),
            )
        );
      },
      { what: 'clients to be served', timeoutMillis: CONVERGENCE_TIMEOUT_MILLIS, intervalMillis: 50 },
    );
  }

  async startLoads(): Promise<void> {
    const requestsPerSecond = this.#fault.fresh === true ? FRESH_REQUESTS_PER_SECOND : REQUESTS_PER_SECOND;
    const fresh = this.#fault.fresh ?? false;
    this.#loads = await Promise.all([
      Load.start(this.scenario, {
        container: 'alpha',
        objectId: DEFAULT_APP_IDENTITY.objectId,
        requestsPerSecond,
        fresh,
      }),
      Load.start(this.scenario, {
        container: 'beta',
        objectId: DEFAULT_DATA_IDENTITY.objectId,
        requestsPerSecond,
        fresh,
      }),
      Load.start(this.scenario, {
        container: 'stranger',
        objectId: undefined,
        requestsPerSecond: STRANGER_REQUESTS_PER_SECOND,
      }),
    ]);
  }

  async stopLoads(): Promise<void> {
    const loads = this.#loads;
    this.#loads = [];
    await Promise.all(loads.map(async load => this.#finished.push({ load, requests: await load.stop() })));
  }

  async startMonitor(): Promise<void> {
    this.#monitor = await this.scenario.startMonitor({ ...this.preload.env, ...this.#fault.monitorEnv });
  }

  /** Does not wait for it. */
  async spawnMonitor(): Promise<void> {
    this.#monitor = await this.scenario.spawnMonitor({ ...this.preload.env, ...this.#fault.monitorEnv });
  }

  async pidOf(container: string): Promise<number> {
    return Number(await this.scenario.docker('inspect', '--format', '{{.State.Pid}}', container));
  }

  /** A whole number of milliseconds below this. */
  millisBelow(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopLoads().catch(() => undefined);
    await this.scenario[Symbol.asyncDispose]();
  }

  async #assemble(): Promise<void> {
    const { proxyArguments = [], clientArguments = [], logsFull = false } = this.#fault;
    if (logsFull) await symlink(FULL_DEVICE, join(this.scenario.vm.directory, 'monitor.log'));
    await this.startMonitor();
    await this.scenario.startProxy({
      extra: [
        ...this.preload.containerArguments,
        ...proxyArguments,
        ...(logsFull ? ['--entrypoint', 'sh'] : []),
      ],
      ...(logsFull && { command: ['-c', `exec msi-proxy >${FULL_DEVICE} 2>&1`] }),
    });
    await this.scenario.untilServing();
    for (const [name, { clientId }] of [
      ['alpha', DEFAULT_APP_IDENTITY],
      ['beta', DEFAULT_DATA_IDENTITY],
    ] as const) {
      const labels = { 'com.msi-proxy.identity': clientId };
      await this.scenario.startClient({ name, labels, extra: clientArguments });
    }
    await this.scenario.startContainer({ name: 'stranger', extra: clientArguments });
    await this.scenario.untilWired('alpha', 'beta');
  }

  /** A busy machine takes its time to close what was open: only what stays is a leak. */
  async #holdingsAtRest(before: Holdings): Promise<Holdings> {
    const deadlineMillis = performance.now() + REST_TIMEOUT_MILLIS;
    for (;;) {
      const now = await this.#holdings();
      if (leaksBetween(before, now).length === 0 || performance.now() > deadlineMillis) return now;
      await sleep(SETTLE_MILLIS);
    }
  }

  async #holdings(): Promise<Holdings> {
    return await holdingsOf({
      scenario: this.scenario,
      preload: this.preload,
      monitorPid: this.monitor.pid,
      proxy: 'proxy',
    });
  }
}

/** The same numbers for the same seed (mulberry32), from 0 to below 1. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
