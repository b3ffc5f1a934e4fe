import { MsiProxyError, type WiringMethodName } from '@msi-proxy/shared';
import type {
  ApplyHints,
  ApplyResult,
  ProxyTarget,
  Suitability,
  WirableClient,
  WiringMethod,
} from '../../src/wiring/wiring-method.ts';

/** Wires by writing it down. */
export class FakeWiring implements WiringMethod {
  readonly name: WiringMethodName;
  /** The proxy's address by the client's name. */
  readonly wired = new Map<string, string>();
  /** The start time of the run that was wired, by the client's name. */
  readonly runs = new Map<string, string>();
  readonly removed: string[] = [];
  /** How often it was applied, by the client's name. */
  readonly applications = new Map<string, number>();
  /** Whether the client was said to be new at each application, in their order. */
  readonly takenForNew: boolean[] = [];
  verifications = 0;
  /** Names of clients that cannot be wired at the moment. */
  readonly failing = new Set<string>();
  readonly unsuitable = new Set<string>();
  #busy = 0;
  /** The most clients that were in work at a time, and whether one was in work twice. */
  peak = 0;
  readonly #inWork = new Set<string>();
  overlapped = false;
  onApply: (client: WirableClient) => void = () => undefined;
  /** Applying, and removing, goes on when it settles. */
  holdUp: (what: 'apply' | 'remove', client: WirableClient) => Promise<void> = () => Promise.resolve();
  redirect?: NonNullable<WiringMethod['redirect']>;

  constructor(name: WiringMethodName = 'host') {
    this.name = name;
  }

  suits({ name }: WirableClient): Suitability {
    return this.unsuitable.has(name) ? { suitable: false, reason: 'the test says so' } : { suitable: true };
  }

  async apply(
    client: WirableClient,
    target: ProxyTarget,
    { isLikelyNew = false }: ApplyHints = {},
  ): Promise<ApplyResult> {
    this.takenForNew.push(isLikelyNew);
    const end = this.#beginWork(client);
    this.peak = Math.max(this.peak, (this.#busy += 1));
    this.onApply(client);
    await new Promise(resolve => setImmediate(resolve));
    await this.holdUp('apply', client);
    this.#busy -= 1;
    end();
    this.applications.set(client.name, (this.applications.get(client.name) ?? 0) + 1);
    if (this.failing.has(client.name)) {
      throw new MsiProxyError('MSI_WIRING_COMMAND', 'nft said no');
    }
    const before = this.wired.get(client.name);
    this.wired.set(client.name, target.address);
    this.runs.set(client.name, client.startedAt);
    return before === target.address ? 'unchanged' : 'applied';
  }

  async verify({ name }: WirableClient, { address }: ProxyTarget): Promise<void> {
    this.verifications += 1;
    await Promise.resolve();
    if (this.wired.get(name) !== address)
      throw new MsiProxyError('MSI_WIRING_NOT_EFFECTIVE', 'it does not hold');
  }

  async remove(client: WirableClient): Promise<void> {
    const end = this.#beginWork(client);
    await this.holdUp('remove', client);
    end();
    this.wired.delete(client.name);
    this.removed.push(client.name);
  }

  #beginWork({ containerId, startedAt }: WirableClient): () => void {
    // Each run of a container has a network namespace of its own: work in the one before does not touch it.
    const run = `${containerId} ${startedAt}`;
    if (this.#inWork.has(run)) this.overlapped = true;
    this.#inWork.add(run);
    return () => this.#inWork.delete(run);
  }
}
