import type { RetargetRemedy } from '../switches.ts';
import type { IpStack } from './ip-stack.ts';
import type { Endpoint, OpenRelay, Relay } from './relay.ts';
import { WindowsError } from './windows-error.ts';

export interface PortProxyRule {
  readonly listen: Endpoint;
  readonly connect: Endpoint;
}

/** Where the rules are kept: the registry, which outlives a restart of the container. */
export interface RuleStore {
  load(): readonly PortProxyRule[];
  save(rules: readonly PortProxyRule[]): void;
}

export interface PortProxyOptions {
  readonly rules: RuleStore;
  readonly ip: Pick<IpStack, 'addresses'>;
  readonly open: OpenRelay;
  readonly retarget: RetargetRemedy;
}

/** netsh's way of saying "on all addresses". */
export const ANY_ADDRESS = '*';

interface OpenRule {
  readonly relay: Relay;
  target: Endpoint;
}

/**
 * The port proxy: rules in the registry, and relays for them as long as the service runs. A rule is listed whether or not
 * anything serves it.
 */
export class PortProxy {
  readonly #store: RuleStore;
  readonly #ip: PortProxyOptions['ip'];
  readonly #open: OpenRelay;
  readonly #retarget: RetargetRemedy;
  readonly #relays = new Map<string, OpenRule>();
  /** Targets of deleted rules that the service still holds. */
  readonly #held = new Map<string, Endpoint>();
  /** Rules that were set while their address was tentative: they block their port for good (protocol.md 4.2). */
  readonly #broken = new Set<string>();
  #isRunning = false;

  constructor({ rules, ip, open, retarget }: PortProxyOptions) {
    this.#store = rules;
    this.#ip = ip;
    this.#open = open;
    this.#retarget = retarget;
  }

  rules(): readonly PortProxyRule[] {
    return this.#store.load();
  }

  /** Adds a rule, or changes the one that listens at the same endpoint. */
  async set(rule: PortProxyRule): Promise<void> {
    const others = this.rules().filter(({ listen }) => keyOf(listen) !== keyOf(rule.listen));
    this.#store.save([...others, rule]);
    await this.#readRules();
  }

  /** @throws {WindowsError} when nothing listens at the endpoint (2) */
  async delete(listen: Endpoint): Promise<void> {
    const rules = this.rules();
    const others = rules.filter(rule => keyOf(rule.listen) !== keyOf(listen));
    if (others.length === rules.length) throw new WindowsError(2);
    this.#store.save(others);
    await this.#readRules();
  }

  async serve(): Promise<void> {
    this.#isRunning = true;
    await this.#readRules();
  }

  stopServing(): void {
    this.#isRunning = false;
    for (const { relay } of this.#relays.values()) relay.destroy();
    this.#relays.clear();
    this.#held.clear();
  }

  async #readRules(): Promise<void> {
    if (!this.#isRunning) return;
    const rules = new Map(this.rules().map(rule => [keyOf(rule.listen), rule]));
    for (const [key, { relay, target }] of this.#relays) {
      if (rules.has(key)) continue;
      relay.close();
      this.#relays.delete(key);
      if (this.#retarget === 'restart') this.#held.set(key, target);
    }
    for (const [key, rule] of rules) {
      const open = this.#relays.get(key);
      if (open === undefined) await this.#openRelay(key, rule);
      else if (this.#retarget === 'set') open.relay.retarget((open.target = rule.connect));
    }
  }

  async #openRelay(key: string, { listen, connect }: PortProxyRule): Promise<void> {
    const state = this.#ip
      .addresses()
      .find(({ address, store }) => store === 'ActiveStore' && address === listen.address)?.state;
    if (state === 'Tentative') this.#broken.add(key);
    if (this.#broken.has(key)) return;
    const target = this.#held.get(key) ?? connect;
    const address = listen.address === ANY_ADDRESS ? '0.0.0.0' : listen.address;
    const relay = await this.#open({ ...listen, address }, target);
    if (relay !== undefined) this.#relays.set(key, { relay, target });
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address}/${port}`;
}
