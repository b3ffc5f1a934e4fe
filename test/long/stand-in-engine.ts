import { CLIENT_LABEL, IDENTITY_LABEL, PROXY_LABEL } from '@msi-proxy/shared';
import { FakeEngine, type ExecProcess } from '../../packages/monitor/test/support/fake-engine/index.ts';
import { FakeProxy } from '../../packages/monitor/test/support/fake-proxy.ts';
import { waitUntil } from '../lab/index.ts';

interface Running {
  readonly id: string;
  readonly name: string;
  readonly identity: string;
  readonly sinceMillis: number;
}

interface Proxy {
  readonly id: string;
  readonly program: FakeProxy;
}

const NETWORK = 'churn';
const IDENTITIES = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
/** How long the serving proxy's table may be behind. */
const BEHIND_MILLIS = 2_000;
const READY_TIMEOUT_MILLIS = 60_000;

/** A stand-in for the engine in which containers come and go at any rate, and proxies that keep their end of the protocol. */
export class StandInEngine implements AsyncDisposable {
  readonly engine: FakeEngine;
  readonly #running: Running[] = [];
  readonly #proxies = new Map<string, FakeProxy>();
  #serving: Proxy | undefined;
  #begun = 0;
  #stops = 0;
  #replaced = 0;

  private constructor(engine: FakeEngine) {
    this.engine = engine;
    engine.state.createNetwork({ name: NETWORK, prefix: '172.30.0' });
    engine.onExec = process => this.#execute(process);
  }

  static async start(): Promise<StandInEngine> {
    return new StandInEngine(await FakeEngine.start());
  }

  get alive(): number {
    return this.#running.length;
  }

  get starts(): number {
    return this.#begun;
  }

  get stops(): number {
    return this.#stops;
  }

  get replaced(): number {
    return this.#replaced;
  }

  /** What proxies saw the monitor do against the protocol. */
  get complaints(): readonly string[] {
    return [...this.#proxies.values()].flatMap(({ complaints }) => complaints);
  }

  startOne(): void {
    const number = (this.#begun += 1);
    const identity = IDENTITIES[number % IDENTITIES.length]!;
    const name = `client-${number}`;
    const labels = { [CLIENT_LABEL]: '', [IDENTITY_LABEL]: identity };
    const id = this.engine.run({ name, network: NETWORK, labels });
    this.#running.push({ id, name, identity, sinceMillis: performance.now() });
  }

  /** The one that has run longest, so that addresses change hands. */
  stopOne(): void {
    const oldest = this.#running.shift();
    if (oldest === undefined) return;
    this.#stops += 1;
    this.engine.removeContainer(oldest.id);
  }

  /** @param how whether the next one stands by before the old one goes, or starts when it is gone */
  async replaceProxy(how: 'planned' | 'killed'): Promise<void> {
    const old = this.#serving;
    if (how === 'killed') this.#stopProxy(old);
    const next = this.#startProxy();
    await waitUntil(() => next.program.role !== undefined, {
      what: 'the next proxy to be met',
      timeoutMillis: READY_TIMEOUT_MILLIS,
    });
    if (how === 'planned') this.#stopProxy(old);
    await waitUntil(() => next.program.role === 'serving', {
      what: 'the next proxy to serve',
      timeoutMillis: READY_TIMEOUT_MILLIS,
    });
    if (old !== undefined) this.#proxies.delete(old.id);
    this.#serving = next;
    this.#replaced += 1;
  }

  /**
   * Containers of which the serving proxy does not know what they may have, or believes something else.
   *
   * @param behindMillis how long after the start of a container that is no fault
   */
  misjudged(behindMillis = BEHIND_MILLIS): string[] {
    const { callers } = this.#serving?.program ?? {};
    if (callers === undefined || this.#serving?.program.role !== 'serving') return [];
    const settled = this.#running.filter(({ sinceMillis }) => performance.now() - sinceMillis > behindMillis);
    return settled
      .filter(({ id, identity }) => {
        const [address = ''] = this.engine.state.container(id).endpoints.values();
        const caller = callers.get(address);
        return caller?.containerId !== id || !JSON.stringify(caller.grant).includes(identity);
      })
      .map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
  }

  #startProxy(): Proxy {
    const name = `proxy-${this.#replaced + 1}`;
    const id = this.engine.state.createContainer({ name, labels: { [PROXY_LABEL]: '' } });
    const program = new FakeProxy(name);
    this.#proxies.set(id, program);
    this.engine.state.start(id);
    return { id, program };
  }

  #stopProxy(proxy: Proxy | undefined): void {
    if (proxy === undefined) return;
    this.#serving = undefined;
    proxy.program.endSession();
    this.engine.removeContainer(proxy.id);
  }

  #execute(process: ExecProcess): void {
    const proxy = this.#proxies.get(process.containerId);
    if (proxy !== undefined && process.argv.join(' ').endsWith('msi-proxy control')) proxy.accept(process);
    else process.exit(127);
  }
}
