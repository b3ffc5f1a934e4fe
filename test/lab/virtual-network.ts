import { newRecord, saveRecord, type LabRecord } from './lab-record.ts';
import { disown, own } from './live-labs.ts';
import { mustRun } from './run-command.ts';
import { removeAbandonedLabs, removeLab } from './remove-lab.ts';
import type { SimulatedVm } from './simulated-vm.ts';

const SWITCH = 'switch0';
/** The second network interface of a VM; the first one leads to Azure's side. */
const INTERFACE = 'eth1';
const PREFIX_LENGTH = 24;

/**
 * What joins VMs, as a virtual network does in Azure: a bridge in a network namespace of its own, which has no way to
 * anything else. Remove the VMs first, then the network, with {@link remove} or `await using`.
 */
export class VirtualNetwork implements AsyncDisposable {
  readonly #record: LabRecord;
  readonly #ports = new Map<SimulatedVm, string>();
  #removal: Promise<void> | undefined;

  private constructor(record: LabRecord) {
    this.#record = record;
  }

  static async create(): Promise<VirtualNetwork> {
    await removeAbandonedLabs();
    const record = newRecord('msi-lan');
    saveRecord(record);
    const network = new VirtualNetwork(record);
    own(network);
    try {
      await mustRun(['ip', 'netns', 'add', network.namespace]);
      await mustRun(['ip', '-n', network.namespace, 'link', 'add', SWITCH, 'type', 'bridge']);
      await mustRun(['ip', '-n', network.namespace, 'link', 'set', SWITCH, 'up']);
    } catch (error) {
      await network.remove();
      throw error;
    }
    return network;
  }

  get id(): string {
    return this.#record.id;
  }

  /** For what belongs to it; not made yet. */
  get directory(): string {
    return this.#record.directory;
  }

  /** Name of the network's own namespace. */
  get namespace(): string {
    return this.#record.namespaces[0]!;
  }

  /** Joins a VM, which is to be removed before the network. */
  async join(vm: SimulatedVm, address: string): Promise<void> {
    const port = `port${this.#ports.size + 1}`;
    const vmEnd = ['link', 'add', INTERFACE, 'netns', vm.namespace];
    await mustRun(['ip', ...vmEnd, 'type', 'veth', 'peer', 'name', port, 'netns', this.namespace]);
    const withPrefix = `${address}/${PREFIX_LENGTH}`;
    await mustRun(['ip', '-n', vm.namespace, 'address', 'add', withPrefix, 'dev', INTERFACE]);
    await mustRun(['ip', '-n', vm.namespace, 'link', 'set', INTERFACE, 'up']);
    await mustRun(['ip', '-n', this.namespace, 'link', 'set', port, 'master', SWITCH, 'up']);
    this.#ports.set(vm, port);
  }

  /** The other VMs are out of the VM's reach from now on. */
  async cut(vm: SimulatedVm): Promise<void> {
    await this.#setPort(vm, 'down');
  }

  async mend(vm: SimulatedVm): Promise<void> {
    await this.#setPort(vm, 'up');
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    this.#removal ??= removeLab(this.#record).then(() => disown(this));
    await this.#removal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  async #setPort(vm: SimulatedVm, state: 'up' | 'down'): Promise<void> {
    const port = this.#ports.get(vm);
    if (port === undefined) throw new Error('this VM is not on the network');
    await mustRun(['ip', '-n', this.namespace, 'link', 'set', port, state]);
  }
}
