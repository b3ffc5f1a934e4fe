import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  monitorStatus,
  requestFrom,
  SimulatedVm,
  VirtualNetwork,
  waitUntil,
  type ImdsAnswer,
  type ImdsRequest,
  type MachineDescription,
} from '../../lab/index.ts';
import { type MonitorStatus } from '@msi-proxy/shared';
import { productEngineData } from './product-data.ts';

const STACK_FILE = fileURLToPath(new URL('../../../deploy/swarm/stack.yml', import.meta.url));
/** Name of the stack of {@link Swarm.deployProduct}. */
const STACK = 'msi';
export const PROXY_SERVICE = `${STACK}_proxy`;
export const MONITOR_SERVICE = `${STACK}_monitor`;

/** A VM that is, or will be, a node of the swarm. */
export interface SwarmNode {
  /** Also its host name and that of its VM in IMDS. */
  readonly name: string;
  /** On the network that joins the nodes. */
  readonly address: string;
  readonly vm: SimulatedVm;
  /** The VM's system-assigned identity, which its tokens name. */
  readonly clientId: string;
  readonly objectId: string;
}

export interface ServiceOptions {
  readonly replicas?: number;
  readonly mode?: 'global' | 'replicated';
  /** Of its containers, not of the service. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly network?: string;
  readonly image: string;
  readonly command: readonly string[];
  /** Further arguments of `docker service create`. */
  readonly extra?: readonly string[];
}

/** A container of a service, on the node that it runs on. */
export interface Task {
  readonly node: SwarmNode;
  readonly containerId: string;
}

/** Simulated VMs with the product's images, each with its own IMDS, whose engines form a swarm. The first is its manager. */
export class Swarm implements AsyncDisposable {
  readonly #network: VirtualNetwork;
  readonly #preparedData: string;
  readonly #nodes: SwarmNode[] = [];

  private constructor(network: VirtualNetwork, preparedData: string) {
    this.#network = network;
    this.#preparedData = preparedData;
  }

  static async start(size: number): Promise<Swarm> {
    const preparedData = await productEngineData();
    const swarm = new Swarm(await VirtualNetwork.create(), preparedData);
    try {
      await mkdir(swarm.#socketFolders, { recursive: true });
      const manager = await swarm.startVm();
      await swarm.manager(
        ...['swarm', 'init', '--advertise-addr', manager.address, '--data-path-addr', manager.address],
        ...['--listen-addr', `${manager.address}:2377`],
      );
      for (let count = 1; count < size; count += 1) await swarm.join(await swarm.startVm());
      return swarm;
    } catch (error) {
      await swarm[Symbol.asyncDispose]();
      throw error;
    }
  }

  get nodes(): readonly SwarmNode[] {
    return this.#nodes;
  }

  /** Starts a VM that is on the network of the others and not in the swarm yet. */
  async startVm(): Promise<SwarmNode> {
    const number = this.#nodes.length + 1;
    const machine = machineOf(number);
    const vm = await SimulatedVm.start({ machine, preparedData: this.#preparedData });
    const address = `10.99.0.${number}`;
    const { name } = machine;
    const { clientId, objectId } = machine.systemAssignedIdentity!;
    const node = { name, address, vm, clientId, objectId };
    this.#nodes.push(node);
    await this.#network.join(vm, address);
    // The same path for all nodes but for their names, which a stack can name.
    await symlink(dirname(vm.engine.socketPath), join(this.#socketFolders, name));
    return node;
  }

  async join({ vm, address }: SwarmNode): Promise<void> {
    const token = await this.manager('swarm', 'join-token', '--quiet', 'worker');
    const listen = ['--listen-addr', `${address}:2377`, '--advertise-addr', address];
    await vm.docker('swarm', 'join', '--token', token, ...listen, `${this.#nodes[0]!.address}:2377`);
  }

  /** Runs the Docker client on the manager, where it has to succeed. */
  async manager(...args: string[]): Promise<string> {
    return await this.#nodes[0]!.vm.docker(...args);
  }

  /** Deploys deploy/swarm/stack.yml. */
  async deployProduct(tag = 'latest'): Promise<void> {
    const { vm } = this.#nodes[0]!;
    const options = ['--compose-file', STACK_FILE, '--resolve-image', 'never'];
    await vm.exec(['docker', 'stack', 'deploy', ...options, STACK], {
      env: {
        ...process.env,
        DOCKER_HOST: vm.engine.host,
        DOCKER_SOCKET_FOLDER: `${this.#socketFolders}/{{.Node.Hostname}}`,
        MSI_TAG: tag,
      },
    });
  }

  async createService(name: string, options: ServiceOptions): Promise<void> {
    const { image, command, labels = {}, network, mode = 'replicated', replicas, extra = [] } = options;
    await this.manager(
      ...['service', 'create', '--detach', '--no-resolve-image', '--name', name, '--mode', mode],
      // This kernel has no ip_vs, by which virtual addresses of services work.
      ...['--endpoint-mode', 'dnsrr'],
      ...(replicas === undefined ? [] : ['--replicas', String(replicas)]),
      ...(network === undefined ? [] : ['--network', network]),
      ...Object.entries(labels).flatMap(([key, value]) => ['--container-label', `${key}=${value}`]),
      ...extra,
      image,
      ...command,
    );
  }

  /** The running containers of a service, as the nodes themselves tell. */
  async tasks(service: string, nodes: readonly SwarmNode[] = this.#nodes): Promise<Task[]> {
    const filters = ['--filter', `label=com.docker.swarm.service.name=${service}`];
    const perNode = await Promise.all(
      nodes.map(async node => {
        const ids = await node.vm.docker('ps', '--quiet', '--no-trunc', ...filters);
        return ids.split('\n').flatMap(containerId => (containerId === '' ? [] : [{ node, containerId }]));
      }),
    );
    return perNode.flat();
  }

  async untilTasks(service: string, count: number, nodes?: readonly SwarmNode[]): Promise<Task[]> {
    return await waitUntil(
      async () => {
        const tasks = await this.tasks(service, nodes);
        return tasks.length === count && tasks;
      },
      { what: `${count} tasks of ${service}`, timeoutMillis: 90_000, intervalMillis: 200 },
    );
  }

  async scale(service: string, replicas: number): Promise<void> {
    await this.manager('service', 'scale', '--detach', `${service}=${replicas}`);
  }

  /** Waits until the update of a service has come to its end. @returns how it ended */
  async untilUpdated(service: string): Promise<string> {
    const format = '{{with .UpdateStatus}}{{.State}}{{end}}';
    return await waitUntil(
      async () => {
        const state = await this.manager('service', 'inspect', '--format', format, service);
        return state !== 'updating' && state;
      },
      { what: `${service} to be updated`, timeoutMillis: 300_000, intervalMillis: 500 },
    );
  }

  /** Waits until the managers take a node for `ready` or `down`. */
  async untilNode({ name }: SwarmNode, state: 'ready' | 'down'): Promise<void> {
    await waitUntil(
      async () => (await this.manager('node', 'inspect', '--format', '{{.Status.State}}', name)) === state,
      { what: `${name} to be ${state}`, timeoutMillis: 90_000, intervalMillis: 500 },
    );
  }

  /** What the monitor of a node says. */
  async status(node: SwarmNode): Promise<MonitorStatus> {
    const [monitor] = await this.tasks(MONITOR_SERVICE, [node]);
    if (monitor === undefined) throw new Error(`${node.name} has no monitor`);
    return await monitorStatus(args => node.vm.engine.docker(args), monitor.containerId);
  }

  /** Waits until a proxy serves on each of the nodes, and nothing is left of others. */
  async untilServing(nodes: readonly SwarmNode[] = this.#nodes): Promise<void> {
    for (const node of nodes) {
      await waitUntil(
        async () => {
          const { proxies } = await this.status(node);
          return proxies.length === 1 && proxies[0]?.state === 'serving';
        },
        { what: `a proxy to serve on ${node.name}`, timeoutMillis: 90_000, intervalMillis: 500 },
      );
    }
  }

  /** Asks 169.254.169.254 with curl from inside a task. */
  async request({ node, containerId }: Task, request: ImdsRequest): Promise<ImdsAnswer> {
    return await requestFrom(args => node.vm.engine.run(args), containerId, request);
  }

  async cut({ vm }: SwarmNode): Promise<void> {
    await this.#network.cut(vm);
  }

  async mend({ vm }: SwarmNode): Promise<void> {
    await this.#network.mend(vm);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map(({ vm }) => vm.remove()));
    await this.#network.remove();
  }

  get #socketFolders(): string {
    return join(this.#network.directory, 'sockets');
  }
}

function machineOf(number: number): MachineDescription {
  const id = (role: string) => `5000000${number}-0000-4000-8000-00000000000${role}`;
  return {
    name: `vm-${number}`,
    vmId: id('a'),
    systemAssignedIdentity: { clientId: id('c'), objectId: id('b') },
    userAssignedIdentities: [],
  };
}
