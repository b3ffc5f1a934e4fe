import {
  codeOf,
  messageOf,
  type ClientState,
  type Clock,
  type Logger,
  type WiringMethodName,
} from '@msi-proxy/shared';
import type { EngineClient } from '../docker/index.ts';
import type { ProxyMember } from '../proxies/proxy-member.ts';
import type { WiringSelector } from '../wiring/select.ts';
import type { ApplyResult, ProxyTarget, WirableClient, WiringMethod } from '../wiring/wiring-method.ts';
import type { DesiredClient } from './desired-state.ts';
import { WorkQueue } from './work-queue.ts';

export interface ClientWiringOptions {
  readonly engine: EngineClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly selector: WiringSelector;
  readonly serving: () => ProxyMember | undefined;
  /** Settles when the serving proxy knows the policy of everything that was published until now. */
  readonly policyKnown: (serving: ProxyMember) => Promise<void>;
  /** @param wiredAfterMillis since the start of the container, when this is the first time since then */
  readonly onWired: (client: WirableClient, method: WiringMethodName, wiredAfterMillis?: number) => void;
}

/** How far the wiring of one network namespace is. */
export interface WiringRecord {
  readonly state: ClientState;
  readonly sinceMillis: number;
  readonly reason?: string;
  readonly method?: WiringMethodName;
  /** From the start of the container to verified wiring; absent when it ran before the monitor. */
  readonly wiredAfterMillis?: number;
  /** The proxy that it was last wired to. */
  readonly instanceId?: string;
}

/** What is likely to be found in a client: the wiring to this very proxy, nothing at all, or anything. */
type Expectation = 'wired' | 'new' | 'unknown';

/** What may be there. */
interface Wired {
  readonly client: WirableClient;
  readonly method: WiringMethod;
  /** Whether this monitor may have changed anything in the client: not as long as all that it found was no way in. */
  isTouched: boolean;
  /** Why it could not be taken away. */
  problem?: string;
}

const CONCURRENCY = 4;
/** Of {@link ClientWiring.follow}, in which each client takes a start or two of a small program. */
const FOLLOW_CONCURRENCY = 8;
const RETRY = { minMillis: 250, maxMillis: 30_000 };

/** Wires each client's network namespace once, verifies it, and does so again whenever the proxy changes. */
export class ClientWiring {
  readonly #options: ClientWiringOptions;
  readonly #queue: WorkQueue;
  readonly #wanted = new Map<string, WirableClient>();
  readonly #records = new Map<string, WiringRecord>();
  /** By which each may be wired, also in part, also those that are not to be wired any more. */
  readonly #wiredBy = new Map<string, Wired>();
  /** The proxy that each was sent to by {@link follow}, and was not looked at since. */
  readonly #sentTo = new Map<string, string>();
  readonly #joining = new Map<string, Promise<void>>();
  readonly #startedAtMillis: number;
  #stopped = false;

  constructor(options: ClientWiringOptions) {
    this.#options = options;
    this.#startedAtMillis = options.clock.wallMillis();
    this.#queue = new WorkQueue({
      clock: options.clock,
      concurrency: CONCURRENCY,
      backoff: RETRY,
      random: options.random,
      work: key => this.#wire(key),
      onError: (key, error) => this.#fail(key, error),
    });
  }

  /** Namespaces that wait for work or are worked on. */
  get queueSize(): number {
    return this.#queue.size;
  }

  recordOf(client: WirableClient): WiringRecord | undefined {
    return this.#records.get(keyOf(client));
  }

  /** Sets which namespaces should be wired. Those that are new are wired; those that are gone are forgotten. */
  update(clients: readonly DesiredClient[]): void {
    const namespaces = new Map<string, WirableClient>();
    for (const { plan } of clients) {
      if (plan.kind === 'wire') namespaces.set(keyOf(plan.namespace), plan.namespace);
    }
    const runs = new Set(clients.map(({ container }) => runOf(container.id, container.startedAt)));
    for (const key of this.#wiredBy.keys())
      if (!namespaces.has(key) && !runs.has(key)) this.#wiredBy.delete(key);
    for (const key of this.#wanted.keys()) if (!namespaces.has(key)) this.#forget(key);
    for (const [key, client] of namespaces) {
      const known = this.#wanted.get(key);
      this.#wanted.set(key, client);
      if (known !== undefined && !isSame(known.networks, client.networks)) this.#doubt(key);
      if (!isSame(known, client)) this.#queue.add(key);
    }
  }

  /** Verifies everything again, and mends what does not hold. */
  refreshAll(): void {
    for (const key of this.#wanted.keys()) this.#queue.add(key);
  }

  /**
   * Sends all clients that are wired singly to the proxy that serves now. What goes wrong with one of them is found and mended
   * when it is verified.
   */
  async follow(serving: ProxyMember, options: { readonly flushFlows: boolean }): Promise<void> {
    const followers = [...this.#wanted].flatMap(([key, client]) => {
      const choice = this.#options.selector.select(client);
      // Also those that have had to wait for a proxy since.
      const wasWired = this.#records.get(key)?.instanceId !== undefined;
      return wasWired && choice.kind === 'method' && choice.method.redirect !== undefined
        ? [{ key, client, method: choice.method }]
        : [];
    });
    // Those that are worked on are waited for: what began with the proxy before would lead back to it.
    followers.sort((a, b) => Number(this.#queue.isInFlight(a.key)) - Number(this.#queue.isInFlight(b.key)));
    if (followers.length === 0) return;
    await this.#options.policyKnown(serving);
    const { clock, logger } = this.#options;
    const [count, beginMillis] = [followers.length, clock.monotonicMillis()];
    const workers = Array.from({ length: FOLLOW_CONCURRENCY }, async () => {
      for (let next = followers.shift(); next !== undefined; next = followers.shift()) {
        const { key, client, method } = next;
        await this.#queue.alone(key, async () => {
          if (this.#options.serving() !== serving || !this.#wanted.has(key)) return;
          await this.#redirect(key, client, method, serving, options);
        });
      }
    });
    await Promise.all(workers);
    const millis = Math.round(clock.monotonicMillis() - beginMillis);
    logger.info(
      `${count} clients were sent to the next proxy, each in its own namespace, within ${millis} ms`,
      {
        containerId: serving.containerId,
        clients: count,
        millis,
      },
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#queue.stop();
  }

  async #wire(key: string): Promise<void> {
    const client = this.#wanted.get(key);
    if (client === undefined) {
      await this.#removeOther(key);
      return;
    }
    const choice = this.#options.selector.select(client);
    if (choice.kind === 'none') {
      this.#record(key, { state: 'refused', reason: choice.reason });
      return;
    }
    if (choice.kind === 'later') {
      const known = this.#records.get(key);
      const { reason } = choice;
      this.#record(key, {
        ...kept(known),
        state: 'pending',
        reason,
        ...(known?.method && { method: known.method }),
      });
      return;
    }
    const { method } = choice;
    await this.#removeOther(key, method);
    const { isTouched = false } = this.#wiredBy.get(key) ?? {};
    this.#wiredBy.set(key, { client, method, isTouched });
    const serving = this.#options.serving();
    const before = this.#records.get(key);
    if (serving?.target === undefined) {
      const reason = 'no proxy is ready to serve';
      this.#record(key, { ...kept(before), state: 'pending', reason, method: method.name });
      return;
    }
    // Where not all are switched at once: one after the other, which on Windows takes seconds each.
    const follows = method.movesWithProxy !== true && before?.instanceId !== serving.target.instanceId;
    if (before?.state !== 'wired' || follows) {
      const reason = before?.state === 'wired' ? { reason: 'the proxy has changed' } : {};
      this.#record(key, { ...kept(before), state: 'pending', method: method.name, ...reason });
    }
    await this.#options.policyKnown(serving);
    const target =
      method.movesWithProxy === true ? serving.target : await this.#shareNetwork(serving, client);
    await this.#ensure(key, client, method, target, this.#expectation(key, client, target, before));
  }

  #expectation(
    key: string,
    client: WirableClient,
    { instanceId }: ProxyTarget,
    before: WiringRecord | undefined,
  ): Expectation {
    const sentTo = this.#sentTo.get(key);
    this.#sentTo.delete(key);
    const isWired = before?.state === 'wired' && before.instanceId === instanceId;
    if (isWired || sentTo === instanceId) return 'wired';
    return before?.instanceId === undefined && !this.#isOlder(client) ? 'new' : 'unknown';
  }

  async #redirect(
    key: string,
    client: WirableClient,
    method: WiringMethod,
    serving: ProxyMember,
    options: { readonly flushFlows: boolean },
  ): Promise<void> {
    try {
      const target = await this.#shareNetwork(serving, client);
      await method.redirect?.(client, target, options);
      this.#sentTo.set(key, target.instanceId);
    } catch (err) {
      const { containerId } = client;
      this.#options.logger.debug('A client could not be sent to the next proxy at once', {
        err,
        containerId,
      });
    }
  }

  async #ensure(
    key: string,
    client: WirableClient,
    method: WiringMethod,
    target: ProxyTarget,
    expected: Expectation,
  ): Promise<void> {
    const result = await this.#apply(key, client, method, target, expected);
    if (result === undefined) {
      this.#queue.add(key);
      return;
    }
    if (result === 'repaired') {
      this.#options.logger.warn('Wiring had changed and was mended', {
        containerId: client.containerId,
        method: method.name,
      });
    }
    const before = this.#records.get(key);
    if (before?.state === 'wired' && before.method === method.name) return;
    const isNew = !this.#isOlder(client) && before?.wiredAfterMillis === undefined;
    const wiredAfterMillis = isNew ? this.#millisSince(client.startedAt) : before?.wiredAfterMillis;
    const isWanted = this.#record(key, {
      state: 'wired',
      method: method.name,
      instanceId: target.instanceId,
      ...(wiredAfterMillis !== undefined && { wiredAfterMillis }),
    });
    if (isWanted) this.#options.onWired(client, method.name, isNew ? wiredAfterMillis : undefined);
  }

  /** Its networks have changed: where it is wired singly, what was proved by way of the old ones is proved no more. */
  #doubt(key: string): void {
    this.#sentTo.delete(key);
    const before = this.#records.get(key);
    const method = this.#wiredBy.get(key)?.method;
    if (before?.state !== 'wired' || method === undefined || method.movesWithProxy === true) return;
    const reason = 'its networks have changed';
    this.#record(key, { ...kept(before), state: 'pending', reason, method: method.name });
  }

  /** Whether it ran before this monitor, so that an earlier one may have wired it. */
  #isOlder({ startedAt }: WirableClient): boolean {
    return !(Date.parse(startedAt) >= this.#startedAtMillis);
  }

  /** Undefined when the clock was set back past it meanwhile. */
  #millisSince(startedAt: string): number | undefined {
    const millis = this.#options.clock.wallMillis() - Date.parse(startedAt);
    return millis < 0 ? undefined : millis;
  }

  /**
   * Makes the wiring true and verifies it, in the order that costs least.
   *
   * @returns undefined when another proxy serves meanwhile
   */
  async #apply(
    key: string,
    client: WirableClient,
    method: WiringMethod,
    target: ProxyTarget,
    expected: Expectation,
  ): Promise<ApplyResult | undefined> {
    const isLeft = () => this.#options.serving()?.target?.instanceId !== target.instanceId;
    if (isLeft()) return undefined;
    try {
      const result = await this.#touch(key, this.#makeTrue(key, client, method, target, expected));
      if (isLeft()) return undefined;
      if (method.applyVerifies !== true) await method.verify(client, target);
      return isLeft() ? undefined : result;
    } catch (error) {
      // What was asked of one proxy was answered by the next, or by none.
      if (isLeft() && codeOf(error) === 'MSI_WIRING_NOT_EFFECTIVE') return undefined;
      throw error;
    }
  }

  /** Notes whether the work may have changed anything in the client. */
  async #touch<Result>(key: string, work: Promise<Result>): Promise<Result> {
    let isTouched = true;
    try {
      return await work;
    } catch (error) {
      isTouched = !lacksWay(error);
      throw error;
    } finally {
      const wired = this.#wiredBy.get(key);
      if (wired !== undefined) wired.isTouched ||= isTouched;
    }
  }

  /** By a look alone where that is likely to do, and costs less. */
  async #makeTrue(
    key: string,
    client: WirableClient,
    method: WiringMethod,
    target: ProxyTarget,
    expected: Expectation,
  ): Promise<ApplyResult> {
    const isLikelyNew = expected === 'new';
    if (method.applyVerifies !== true) return await method.apply(client, target, { isLikelyNew });
    const wiredTo = this.#records.get(key)?.instanceId;
    const mayHold =
      method.appliesSlowly === true &&
      (wiredTo === target.instanceId || (wiredTo === undefined && this.#isOlder(client)));
    if (mayHold || expected === 'wired') {
      if (await succeeds(method.verify(client, target))) return 'unchanged';
    } else if (wiredTo !== undefined && method.retarget !== undefined) {
      if (await succeeds(method.retarget(client, target))) return 'applied';
    }
    return await method.apply(client, target, { isLikelyNew });
  }

  /** Docker keeps its networks apart, so a client that is wired in its own namespace needs the proxy on a network of its own. */
  async #shareNetwork(serving: ProxyMember, client: WirableClient): Promise<ProxyTarget> {
    const { target } = serving;
    const own = client.networks.filter(({ address }) => address !== '');
    if (target !== undefined && own.some(({ name }) => target.addressesByNetwork[name] !== undefined))
      return target;
    const [network] = own;
    if (network !== undefined) await this.#join(serving, network.name);
    if (serving.target === undefined) throw new Error('the proxy stopped serving');
    return serving.target;
  }

  /** Once for all clients of the network that find at the same time that the proxy is not on it. */
  async #join(serving: ProxyMember, network: string): Promise<void> {
    const { containerId } = serving;
    const key = `${containerId} ${network}`;
    const joining = this.#joining.get(key) ?? this.#connect(serving, network);
    this.#joining.set(key, joining);
    await joining.finally(() => this.#joining.delete(key));
  }

  async #connect(serving: ProxyMember, network: string): Promise<void> {
    const { engine } = this.#options;
    await engine.connectNetwork(network, serving.containerId);
    const container = await engine.inspectContainer(serving.containerId);
    if (container !== undefined) serving.update(container);
  }

  #fail(key: string, error: unknown): void {
    const client = this.#wanted.get(key);
    if (client === undefined) this.#failToRemove(key, error);
    // The event that says why a namespace is gone is on its way.
    if (this.#stopped || client === undefined || codeOf(error) === 'MSI_NAMESPACE_GONE') return;
    // What the container itself lacks may come: services of Windows start after it.
    const state = codeOf(error) === 'MSI_WIRING_NOT_APPLICABLE' ? 'refused' : 'failed';
    const before = this.#records.get(key);
    const reason = messageOf(error);
    if (before?.state !== state || before.reason !== reason) {
      this.#options.logger.warn('A client could not be wired; it is tried again', {
        err: error,
        containerId: client.containerId,
      });
    }
    this.#record(key, { ...kept(before), state, reason, ...(before?.method && { method: before.method }) });
  }

  #failToRemove(key: string, err: unknown): void {
    const wired = this.#wiredBy.get(key);
    const problem = messageOf(err);
    if (this.#stopped || wired === undefined || wired.problem === problem) return;
    wired.problem = problem;
    this.#options.logger.warn('The wiring of a client could not be removed; it is tried again', {
      err,
      containerId: wired.client.containerId,
    });
  }

  #forget(key: string): void {
    this.#wanted.delete(key);
    this.#records.delete(key);
    this.#sentTo.delete(key);
    // It still runs but is refused now: somebody who has no label joined its namespace.
    if (this.#wiredBy.has(key)) this.#queue.add(key);
  }

  /** Takes away what is there by another method than this one. */
  async #removeOther(key: string, method?: WiringMethod): Promise<void> {
    const wired = this.#wiredBy.get(key);
    if (wired === undefined || wired.method === method) return;
    await this.#remove(wired, { mayBeLeft: method !== undefined });
    this.#wiredBy.delete(key);
    const before = this.#records.get(key);
    if (before === undefined || method === undefined) return;
    const { wiredAfterMillis } = before;
    this.#record(key, {
      state: 'pending',
      method: method.name,
      ...(wiredAfterMillis !== undefined && { wiredAfterMillis }),
    });
  }

  /** @param mayBeLeft whether to go on where this monitor has no way in and never had: it has left nothing there itself */
  async #remove(
    { client, method, isTouched }: Wired,
    { mayBeLeft }: { readonly mayBeLeft: boolean },
  ): Promise<void> {
    try {
      await method.remove(client);
    } catch (err) {
      if (isTouched || !mayBeLeft || !lacksWay(err)) throw err;
      this.#options.logger.info(
        'A client is wired by another method from now on; what an earlier monitor may have left in it was not looked for',
        { err, containerId: client.containerId, method: method.name },
      );
    }
  }

  /** @returns whether anybody still wants to know */
  #record(key: string, record: Omit<WiringRecord, 'sinceMillis'>): boolean {
    if (!this.#wanted.has(key)) return false;
    const before = this.#records.get(key);
    const sinceMillis =
      before?.state === record.state ? before.sinceMillis : this.#options.clock.wallMillis();
    this.#records.set(key, { ...record, sinceMillis });
    return true;
  }
}

function isSame(known: unknown, next: unknown): boolean {
  return JSON.stringify(known) === JSON.stringify(next);
}

function lacksWay(error: unknown): boolean {
  return codeOf(error) === 'MSI_WIRING_NO_CAPABILITY';
}

/** Whether the faster way sufficed. The slower one finds out what is wrong, and throws it. */
async function succeeds(work: Promise<void>): Promise<boolean> {
  return await work.then(
    () => true,
    () => false,
  );
}

/** What stays true of a wiring while its state changes. */
function kept({ wiredAfterMillis, instanceId }: Partial<WiringRecord> = {}): Partial<WiringRecord> {
  return {
    ...(wiredAfterMillis !== undefined && { wiredAfterMillis }),
    ...(instanceId !== undefined && { instanceId }),
  };
}

function keyOf({ containerId, startedAt }: WirableClient): string {
  return runOf(containerId, startedAt);
}

function runOf(containerId: string, startedAt: string): string {
  return `${containerId} ${startedAt}`;
}
