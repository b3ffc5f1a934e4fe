import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Daemon } from './daemon.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { ImdsSide, type MachineDescription } from './imds-side.ts';
import { newRecord, saveRecord, type LabRecord } from './lab-record.ts';
import { disown, own } from './live-labs.ts';
import { createNetwork, inNamespace } from './network.ts';
import { newerEngine } from './newer-engine.ts';
import { removeAbandonedLabs, removeLab } from './remove-lab.ts';
import { mustRun, runCommand, type Argv, type CommandOptions, type CommandOutput } from './run-command.ts';

export interface SimulatedVmOptions extends Pick<
  EngineOptions,
  'liveRestore' | 'iptables' | 'programs' | 'arguments'
> {
  /** Data folder of a stopped engine: the images that the VM's engine begins with. */
  readonly preparedData?: string;
  /** Without the emulator, for what only needs an engine. */
  readonly imds?: boolean;
  /** What IMDS says of this VM; what is left out is as the emulator has it. Its name is also that of the engine's host. */
  readonly machine?: MachineDescription;
}

/**
 * An Azure VM as far as this product can see: a network namespace with a private Docker engine, whose way to
 * 169.254.169.254 ends at the emulator. Remove it with {@link remove} or `await using`.
 */
export class SimulatedVm implements AsyncDisposable {
  readonly engine: Engine;
  readonly #record: LabRecord;
  #imds: ImdsSide | undefined;
  #assembly: Promise<void> | undefined;
  #removal: Promise<void> | undefined;
  #kept = false;

  private constructor(record: LabRecord, options: SimulatedVmOptions) {
    this.#record = record;
    this.engine = new Engine({
      directory: record.directory,
      namespace: this.namespace,
      cgroupParent: record.cgroupParent,
      ...(options.machine !== undefined && { hostname: options.machine.name }),
      ...options,
    });
  }

  static async start(options: SimulatedVmOptions = {}): Promise<SimulatedVm> {
    await removeAbandonedLabs();
    const programs = options.programs ?? (await chosenPrograms());
    const record = newRecord('msi-vm', 'msi-imds');
    saveRecord(record);
    const vm = new SimulatedVm(record, { ...options, ...(programs !== undefined && { programs }) });
    own(vm);
    vm.#assembly = vm.#assemble(options);
    try {
      await vm.#assembly;
    } catch (error) {
      await vm.remove();
      throw error;
    }
    return vm;
  }

  get id(): string {
    return this.#record.id;
  }

  get directory(): string {
    return this.#record.directory;
  }

  /** Name of the VM's network namespace. */
  get namespace(): string {
    return this.#record.namespaces[0]!;
  }

  get #imdsNamespace(): string {
    return this.#record.namespaces[1]!;
  }

  get imds(): ImdsSide {
    if (this.#imds === undefined) throw new Error('this VM was started without IMDS');
    return this.#imds;
  }

  /** Runs the Docker client, which has to succeed, and gives back what it printed. */
  async docker(...args: string[]): Promise<string> {
    return await this.engine.docker(args);
  }

  /** Runs a program in the VM's network namespace; its exit code is the caller's business. */
  async run(argv: Argv, options?: CommandOptions): Promise<CommandOutput> {
    return await runCommand(inNamespace(this.namespace, argv), options);
  }

  /** Runs a program in the VM's network namespace, which has to succeed. */
  async exec(argv: Argv, options?: CommandOptions): Promise<string> {
    return await mustRun(inNamespace(this.namespace, argv), options);
  }

  /** Starts a program in the VM's network namespace, which ends with the VM at the latest. */
  async startDaemon(name: string, argv: Argv, env?: NodeJS.ProcessEnv): Promise<Daemon> {
    return await Daemon.start({
      argv: inNamespace(this.namespace, argv),
      logFile: join(this.directory, `${name}.log`),
      ...(env !== undefined && { env }),
    });
  }

  /** Leaves the VM running beyond its scope and this process; `npm run lab:clean` removes it. */
  keep(): void {
    saveRecord({ ...this.#record, kept: true });
    this.#kept = true;
    disown(this);
  }

  /** Removes the VM with everything in it. Idempotent. */
  async remove(): Promise<void> {
    this.#removal ??= this.#removeAll();
    await this.#removal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#kept) await this.remove();
  }

  async #assemble(options: SimulatedVmOptions): Promise<void> {
    await mkdir(this.directory, { mode: 0o711 });
    await createNetwork(this.namespace, this.#imdsNamespace);
    await Promise.all([
      this.engine.start(),
      options.imds === false ? undefined : this.#startImds(options.machine),
    ]);
  }

  async #startImds(machine?: MachineDescription): Promise<void> {
    this.#imds = await ImdsSide.start(this.#imdsNamespace, this.directory, machine);
  }

  async #removeAll(): Promise<void> {
    await removeLab(this.#record);
    // Interrupted at the start, something may have been made meanwhile; with its ground gone, the start ends soon.
    await this.#assembly?.catch(() => {});
    await removeLab(this.#record);
    disown(this);
  }
}

/** `MSI_PROXY_TEST_ENGINE=newer` has everything run on the newer engine. */
async function chosenPrograms(): Promise<string | undefined> {
  const chosen = process.env['MSI_PROXY_TEST_ENGINE'];
  if (chosen === undefined || chosen === '') return undefined;
  if (chosen !== 'newer') throw new Error(`MSI_PROXY_TEST_ENGINE is "${chosen}": expected newer, or nothing`);
  return (await newerEngine(text => console.log(text))).programs;
}
