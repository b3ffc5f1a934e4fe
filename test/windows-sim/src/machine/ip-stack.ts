import type { Clock, Timer } from '@msi-proxy/shared';
import type { LinuxNetwork } from './linux-network.ts';
import { WindowsError } from './windows-error.ts';

export type AddressState = 'Invalid' | 'Tentative' | 'Duplicate' | 'Deprecated' | 'Preferred';

/** What is in force, and what is to be in force after a restart of the machine. */
export const POLICY_STORES = ['ActiveStore', 'PersistentStore'] as const;
export type PolicyStore = (typeof POLICY_STORES)[number];

export interface IpAddress {
  readonly interfaceIndex: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly skipAsSource: boolean;
  readonly state: AddressState;
  readonly store: PolicyStore;
}

export interface IpInterface {
  readonly index: number;
  readonly alias: string;
  readonly dadTransmits: number;
}

export interface NewAddress extends Pick<
  IpAddress,
  'interfaceIndex' | 'address' | 'prefixLength' | 'skipAsSource'
> {
  readonly stores: readonly PolicyStore[];
}

export interface IpStackOptions {
  readonly linux: LinuxNetwork;
  readonly clock: Clock;
  /** `always`: probes are sent although DadTransmits is 0. */
  readonly dad: 'obeyed' | 'always';
  /** What another container left in the persistent store. */
  readonly leakedAddress?: string | undefined;
}

/** Windows' defaults: three probes, one second apart (learn.microsoft.com, "Set-NetIPInterface"). */
const DEFAULT_DAD_TRANSMITS = 3;
const RETRANSMIT_MILLIS = 1_000;
const LOOPBACK_ALIAS = 'Loopback Pseudo-Interface 1';
/** The leak came from a container whose interface this one does not have. */
const FOREIGN_INTERFACE_INDEX = 99;

interface AddedAddress {
  entry: IpAddress;
  timer?: Timer;
}

/**
 * Windows' IPv4 addresses over the interfaces of a Linux container. An address that was added is `Tentative` until probes
 * got no answer, and only then really there; one that somebody else owns becomes `Duplicate` and never is.
 */
export class IpStack {
  readonly #linux: LinuxNetwork;
  readonly #clock: Clock;
  readonly #dad: IpStackOptions['dad'];
  readonly #dadTransmits = new Map<number, number>();
  readonly #active: AddedAddress[] = [];
  #persistent: IpAddress[] = [];

  constructor({ linux, clock, dad, leakedAddress }: IpStackOptions) {
    this.#linux = linux;
    this.#clock = clock;
    this.#dad = dad;
    if (leakedAddress !== undefined) {
      this.#persistent.push({
        interfaceIndex: FOREIGN_INTERFACE_INDEX,
        address: leakedAddress,
        prefixLength: 32,
        skipAsSource: true,
        state: 'Invalid',
        store: 'PersistentStore',
      });
    }
  }

  interfaces(): readonly IpInterface[] {
    return this.#linux.interfaces().map(({ name, index }) => ({
      index,
      alias: name === 'lo' ? LOOPBACK_ALIAS : `vEthernet (${name})`,
      dadTransmits: this.#dadTransmitsOf(index),
    }));
  }

  addresses(): readonly IpAddress[] {
    const own = this.#linux.interfaces().flatMap(({ index, addresses }) =>
      addresses
        .filter(({ address }) => !this.#active.some(({ entry }) => entry.address === address))
        .map(({ address, prefixLength }): IpAddress => ({
          interfaceIndex: index,
          address,
          prefixLength,
          skipAsSource: false,
          state: 'Preferred',
          store: 'ActiveStore',
        })),
    );
    return [...own, ...this.#active.map(({ entry }) => entry), ...this.#persistent];
  }

  setDadTransmits(interfaceIndex: number, transmits: number): void {
    this.#nameOf(interfaceIndex);
    if (!Number.isInteger(transmits) || transmits < 0) throw new WindowsError(87);
    this.#dadTransmits.set(interfaceIndex, transmits);
  }

  /** @throws {WindowsError} when there is no such interface (1168), or the address is there already (5010) */
  async add({ stores, ...address }: NewAddress): Promise<readonly IpAddress[]> {
    const name = this.#nameOf(address.interfaceIndex);
    if (!(address.prefixLength >= 1 && address.prefixLength <= 32)) throw new WindowsError(87);
    const isThere = (store: PolicyStore) =>
      this.addresses().some(known => known.store === store && known.address === address.address);
    if (stores.some(isThere)) throw new WindowsError(5010);
    if (stores.includes('ActiveStore')) await this.#addActive(name, address);
    if (stores.includes('PersistentStore')) {
      this.#persistent.push({ ...address, state: 'Invalid', store: 'PersistentStore' });
    }
    return this.addresses().filter(
      known => known.address === address.address && stores.includes(known.store),
    );
  }

  /** @throws {WindowsError} when the address is not there (1168), or not one that was added (87) */
  async remove(address: string, store: PolicyStore): Promise<void> {
    if (!this.addresses().some(known => known.store === store && known.address === address)) {
      throw new WindowsError(1168);
    }
    if (store === 'PersistentStore') {
      this.#persistent = this.#persistent.filter(known => known.address !== address);
      return;
    }
    const position = this.#active.findIndex(({ entry }) => entry.address === address);
    const [added] = position < 0 ? [] : this.#active.splice(position, 1);
    if (added === undefined) throw new WindowsError(87);
    added.timer?.cancel();
    const { interfaceIndex, prefixLength, state } = added.entry;
    if (state === 'Preferred') {
      await this.#linux.removeAddress(this.#nameOf(interfaceIndex), address, prefixLength);
    }
  }

  async #addActive(name: string, address: Omit<NewAddress, 'stores'>): Promise<void> {
    const added: AddedAddress = { entry: { ...address, state: 'Tentative', store: 'ActiveStore' } };
    this.#active.push(added);
    const set = this.#dadTransmitsOf(address.interfaceIndex);
    const transmits = this.#dad === 'always' ? DEFAULT_DAD_TRANSMITS : set;
    if (transmits === 0) {
      await this.#settle(name, added, false);
      return;
    }
    const isOwned = this.#linux.isOwnedByOther(name, address.address);
    added.timer = this.#clock.setTimer(() => {
      void isOwned.then(owned => this.#settle(name, added, owned));
    }, transmits * RETRANSMIT_MILLIS);
  }

  async #settle(name: string, added: AddedAddress, isOwnedByOther: boolean): Promise<void> {
    // It may have been removed meanwhile.
    if (!this.#active.includes(added)) return;
    const { address, prefixLength } = added.entry;
    if (!isOwnedByOther) await this.#linux.addAddress(name, address, prefixLength);
    added.entry = { ...added.entry, state: isOwnedByOther ? 'Duplicate' : 'Preferred' };
  }

  #dadTransmitsOf(interfaceIndex: number): number {
    return this.#dadTransmits.get(interfaceIndex) ?? DEFAULT_DAD_TRANSMITS;
  }

  #nameOf(interfaceIndex: number): string {
    const found = this.#linux.interfaces().find(({ index }) => index === interfaceIndex);
    if (found === undefined) throw new WindowsError(1168);
    return found.name;
  }
}
