import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { VirtualMachine } from '@msi-proxy/imds-emulator';
import { Daemon } from './daemon.ts';
import { type TappedConnection } from './imds-host/byte-tap.ts';
import { inNamespace } from './network.ts';
import { mustRun, type Argv } from './run-command.ts';
import { unixRequest, type UnixAnswer } from './unix-request.ts';

const EMULATOR_PORT = 8080;
const EMULATOR_CONTROL_PORT = 8081;

const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url));

/** A VM as the emulator's configuration file describes it. */
export type MachineDescription = Partial<VirtualMachine> & Pick<VirtualMachine, 'name'>;

export interface Arrivals {
  readonly connections: readonly TappedConnection[];
  readonly wireServerRequests: number;
}

/** The emulator at IMDS's own address, and what the tests can see and change of it. */
export class ImdsSide {
  readonly #namespace: string;
  readonly #socketPath: string;
  readonly #emulator: Daemon;

  private constructor(namespace: string, socketPath: string, emulator: Daemon) {
    this.#namespace = namespace;
    this.#socketPath = socketPath;
    this.#emulator = emulator;
  }

  /** @param machine the VM that it answers for; the emulator's own unless given */
  static async start(namespace: string, directory: string, machine?: MachineDescription): Promise<ImdsSide> {
    const socketPath = join(directory, 'imds.sock');
    const machineFile = join(directory, 'machine.json');
    if (machine !== undefined) await writeFile(machineFile, JSON.stringify(machine));
    const emulator = await Daemon.start({
      argv: inNamespace(namespace, nodeArgv('packages/imds-emulator/src/main.ts')),
      env: {
        ...process.env,
        IMDS_EMULATOR_LISTEN: `127.0.0.1:${EMULATOR_PORT}`,
        IMDS_EMULATOR_CONTROL_LISTEN: `127.0.0.1:${EMULATOR_CONTROL_PORT}`,
        ...(machine !== undefined && { IMDS_EMULATOR_VM: machineFile }),
      },
      logFile: join(directory, 'imds-emulator.log'),
    });
    const host = await Daemon.start({
      argv: inNamespace(
        namespace,
        nodeArgv(
          'test/lab/imds-host/main.ts',
          `--socket=${socketPath}`,
          `--emulator-port=${EMULATOR_PORT}`,
          `--control-port=${EMULATOR_CONTROL_PORT}`,
        ),
      ),
      logFile: join(directory, 'imds-host.log'),
    });
    const side = new ImdsSide(namespace, socketPath, emulator);
    await host.untilReady(async () => (await side.arrivals()).connections.length === 0);
    await emulator.untilReady(async () => (await side.control('GET', '/healthz')).status === 200);
    return side;
  }

  /** What reached the address of IMDS since the start or the last {@link forgetArrivals}. */
  async arrivals(): Promise<Arrivals> {
    const { body } = await unixRequest({ socketPath: this.#socketPath, path: '/tap' });
    return JSON.parse(body) as Arrivals;
  }

  async forgetArrivals(): Promise<void> {
    await unixRequest({ socketPath: this.#socketPath, path: '/tap', method: 'DELETE' });
  }

  /** Runs a program in the network namespace of Azure's side, which has to succeed. */
  async exec(argv: Argv): Promise<string> {
    return await mustRun(inNamespace(this.#namespace, argv));
  }

  /** A request to the emulator's control port. */
  async control(method: string, path: string, body?: unknown): Promise<UnixAnswer> {
    return await unixRequest({
      socketPath: this.#socketPath,
      path: `/emulator${path}`,
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  /** IMDS hangs: connections are accepted, nothing is answered. */
  freeze(): void {
    this.#emulator.freeze();
  }

  unfreeze(): void {
    this.#emulator.signal('SIGCONT');
  }
}

/** A program of this repository from its sources, with this very Node. */
export function nodeArgv(script: string, ...args: string[]): [string, ...string[]] {
  return [process.execPath, '--conditions=@msi-proxy/source', join(repositoryRoot, script), ...args];
}
