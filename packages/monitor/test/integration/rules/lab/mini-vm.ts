import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CommandRunner, localCommandRunner } from '@msi-proxy/shared';
import { namespaceRunner } from '../../../../src/wiring/namespace-runner.ts';

export interface Answer {
  readonly from?: string;
  readonly peer?: string;
  /** `ECONNREFUSED`, `ECONNRESET`, `EHOSTUNREACH`, …; `timeout` for silence. */
  readonly failure?: string;
}

export interface AskOptions {
  readonly port?: number;
  readonly transport?: 'tcp' | 'udp';
  readonly timeoutMillis?: number;
}

export interface HeldConnection {
  /** @returns the first line of the answer, or the code of the failure */
  request(): Promise<string>;
}

let created = 0;
let abandonedRemoved: Promise<void> | undefined;

/** A network namespace with what runs in it. */
export class Namespace {
  readonly name: string;
  readonly path: string;
  readonly runner: CommandRunner;
  readonly #processes: ChildProcess[] = [];

  private constructor(name: string) {
    this.name = name;
    this.path = `/var/run/netns/${name}`;
    this.runner = namespaceRunner(localCommandRunner, this.path);
  }

  /** The first address that the lab gave it. */
  address = '';

  /** The name tells the process that made it, so that no two runs meet. */
  static async create(purpose: string): Promise<Namespace> {
    await (abandonedRemoved ??= removeAbandoned());
    const name = `rules${process.pid}-${created++}-${purpose}`;
    await must(localCommandRunner, 'ip', 'netns', 'add', name);
    const namespace = new Namespace(name);
    // IPv6 addresses come and go by themselves for a while after a link is up.
    await namespace.run('sysctl', '-q', '-w', 'net.ipv6.conf.default.disable_ipv6=1');
    await namespace.run('ip', 'link', 'set', 'lo', 'up');
    return namespace;
  }

  /** @returns what the program printed; it has to succeed */
  async run(file: string, ...argv: readonly string[]): Promise<string> {
    return await must(this.runner, file, ...argv);
  }

  /** Starts a responder, which listens when this returns. */
  async respond(name: string, ...endpoints: readonly string[]): Promise<ChildProcess> {
    const argv = [`--net=${this.path}`, ...nodeArgv('responder.ts'), name, ...endpoints];
    const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#processes.push(child);
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => {
        throw new Error(`the responder ${name} ended`);
      }),
    ]);
    return child;
  }

  async ask(
    address: string,
    { port = 80, transport = 'tcp', timeoutMillis = 1_500 }: AskOptions = {},
  ): Promise<Answer> {
    const [file, ...argv] = nodeArgv('ask.ts');
    const answer = await this.run(file, ...argv, transport, address, String(port), String(timeoutMillis));
    return JSON.parse(answer) as Answer;
  }

  /** @returns `answer`, `refused` or `silence` */
  async ping(address: string): Promise<string> {
    await this.run('sysctl', '-q', '-w', 'net.ipv4.ping_group_range=0 0');
    return await this.run('perl', fileURLToPath(new URL('ping.pl', import.meta.url)), address);
  }

  /**
   * Sends a UDP packet to port 80 by a source route.
   *
   * @param kind `loose` or `strict`
   */
  async sendSourceRouted(kind: string, via: string, address: string): Promise<void> {
    await this.run('perl', fileURLToPath(new URL('source-route.pl', import.meta.url)), kind, via, address);
  }

  /** Opens a connection that waits with its request until told. */
  async hold(address: string, port = 80): Promise<HeldConnection> {
    const argv = [`--net=${this.path}`, ...nodeArgv('hold.ts'), address, String(port)];
    const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#processes.push(child);
    await once(child.stdout, 'data');
    return {
      async request() {
        child.stdin.write('\n');
        const [outcome] = (await once(child.stdout, 'data')) as [Buffer];
        return outcome.toString().trim();
      },
    };
  }

  /** Everything that could be left behind in it, as text to compare. */
  async fingerprint(): Promise<string> {
    const rules = await this.run('nft', '--stateless', 'list', 'ruleset');
    const legacy = (await this.run('iptables-legacy-save')).replaceAll(/^#.*\n?|\[\d+:\d+\]/gm, '');
    const routes = await this.run('ip', 'route', 'show', 'table', 'all');
    const routing = await this.run('ip', 'rule', 'show');
    const links = await this.run('ip', '-brief', 'address');
    return [rules, legacy, routing, routes, links].join('\n---\n');
  }

  async remove(): Promise<void> {
    await Promise.all(this.#processes.map(end));
    await must(localCommandRunner, 'ip', 'netns', 'delete', this.name);
  }
}

export interface Network {
  readonly bridge: string;
  /** Without the last number: `172.17.0`. */
  readonly prefix: string;
  /** As Docker's `--internal`. */
  readonly internal?: boolean;
}

export const DEFAULT_NETWORK: Network = { bridge: 'docker0', prefix: '172.17.0' };
export const USER_NETWORK: Network = { bridge: 'br-user', prefix: '172.18.0' };
export const INTERNAL_NETWORK: Network = { bridge: 'br-internal', prefix: '172.19.0', internal: true };
export const PROXY_NETWORK: Network = { bridge: 'br-msi', prefix: '172.31.250' };

const NETWORKS = [DEFAULT_NETWORK, USER_NETWORK, INTERNAL_NETWORK, PROXY_NETWORK];

/**
 * A VM with bridges and packet rules as Docker 20.10 makes them, beside a namespace that has the addresses of IMDS and
 * WireServer. Neither has a way out.
 */
export class MiniVm {
  readonly vm: Namespace;
  readonly imds: Namespace;
  readonly #containers: Namespace[] = [];

  private constructor(vm: Namespace, imds: Namespace) {
    this.vm = vm;
    this.imds = imds;
  }

  static async create(): Promise<MiniVm> {
    const mini = new MiniVm(await Namespace.create('vm'), await Namespace.create('imds'));
    try {
      await mini.#connectToImds();
      for (const network of NETWORKS) await mini.#addNetwork(network);
      await mini.#loadDockerRules();
    } catch (error) {
      await mini.remove();
      throw error;
    }
    return mini;
  }

  /** Whether bridged frames pass the VM's packet rules, as Docker usually makes it. */
  async setBridgeNetfilter(on: boolean): Promise<void> {
    await this.vm.run('sysctl', '-q', '-w', `net.bridge.bridge-nf-call-iptables=${on ? 1 : 0}`);
  }

  /** A container's namespace at address `<prefix>.<host>`, with a default route by the bridge. */
  async addContainer(network: Network, host: number): Promise<Namespace> {
    const container = await Namespace.create(`c${host}`);
    this.#containers.push(container);
    await this.attach(container, network, host);
    await container.run('ip', 'route', 'add', 'default', 'via', `${network.prefix}.1`);
    return container;
  }

  /** Gives the container an interface `<bridge>-c` on the network. */
  async attach(container: Namespace, { bridge, prefix }: Network, host: number): Promise<void> {
    const veth = `v${created++}`;
    const peer = `${bridge}-c`;
    await this.vm.run(
      'ip',
      'link',
      'add',
      veth,
      'type',
      'veth',
      'peer',
      'name',
      peer,
      'netns',
      container.name,
    );
    await this.vm.run('ip', 'link', 'set', veth, 'master', bridge, 'up');
    await container.run('ip', 'address', 'add', `${prefix}.${host}/24`, 'dev', peer);
    await container.run('ip', 'link', 'set', peer, 'up');
    container.address ||= `${prefix}.${host}`;
  }

  /** A container's namespace on a macvlan network `10.77.0.0/24` without gateway, which passes by the VM's bridges. */
  async addMacvlanContainer(host: number): Promise<Namespace> {
    const container = await Namespace.create(`m${host}`);
    this.#containers.push(container);
    await this.attachMacvlan(container, host);
    return container;
  }

  async attachMacvlan(container: Namespace, host: number): Promise<void> {
    const parentExists = await this.vm.runner.run('ip', ['link', 'show', 'mvp']);
    if (parentExists.exitCode !== 0) {
      await this.vm.run('ip', 'link', 'add', 'mvp', 'type', 'veth', 'peer', 'name', 'mvp-peer');
      await this.vm.run('ip', 'link', 'set', 'mvp', 'up');
      await this.vm.run('ip', 'link', 'set', 'mvp-peer', 'up');
    }
    const name = `mv${host}`;
    await this.vm.run('ip', 'link', 'add', name, 'link', 'mvp', 'type', 'macvlan', 'mode', 'bridge');
    await this.vm.run('ip', 'link', 'set', name, 'netns', container.name);
    await container.run('ip', 'address', 'add', `10.77.0.${host}/24`, 'dev', name);
    await container.run('ip', 'link', 'set', name, 'up');
  }

  async remove(): Promise<void> {
    for (const namespace of [...this.#containers, this.vm, this.imds]) await namespace.remove();
  }

  async #connectToImds(): Promise<void> {
    const { vm, imds } = this;
    await vm.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'vm0', 'netns', imds.name);
    await vm.run('ip', 'address', 'add', '10.0.0.4/24', 'dev', 'eth0');
    await vm.run('ip', 'link', 'set', 'eth0', 'up');
    await imds.run('ip', 'address', 'add', '10.0.0.1/24', 'dev', 'vm0');
    await imds.run('ip', 'link', 'set', 'vm0', 'up');
    for (const address of ['169.254.169.254/32', '168.63.129.16/32']) {
      await imds.run('ip', 'address', 'add', address, 'dev', 'lo');
    }
    await vm.run('ip', 'route', 'add', 'default', 'via', '10.0.0.1');
    await vm.run('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
  }

  async #addNetwork({ bridge, prefix }: Network): Promise<void> {
    await this.vm.run('ip', 'link', 'add', bridge, 'type', 'bridge');
    await this.vm.run('ip', 'address', 'add', `${prefix}.1/24`, 'dev', bridge);
    await this.vm.run('ip', 'link', 'set', bridge, 'up');
  }

  async #loadDockerRules(): Promise<void> {
    const outer = NETWORKS.filter(({ internal }) => internal !== true);
    const rules = [
      '*nat',
      ...outer.map(({ bridge, prefix }) => `-A POSTROUTING -s ${prefix}.0/24 ! -o ${bridge} -j MASQUERADE`),
      'COMMIT',
      '*filter',
      ':FORWARD DROP [0:0]',
      ':DOCKER-USER - [0:0]',
      ':DOCKER-ISOLATION-STAGE-1 - [0:0]',
      ':DOCKER-ISOLATION-STAGE-2 - [0:0]',
      '-A FORWARD -j DOCKER-USER',
      '-A FORWARD -j DOCKER-ISOLATION-STAGE-1',
      ...NETWORKS.flatMap(({ bridge }) => [
        `-A FORWARD -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
        `-A FORWARD -i ${bridge} ! -o ${bridge} -j ACCEPT`,
        `-A FORWARD -i ${bridge} -o ${bridge} -j ACCEPT`,
      ]),
      ...NETWORKS.flatMap(({ bridge, prefix, internal }) =>
        internal === true
          ? [
              `-A DOCKER-ISOLATION-STAGE-1 ! -s ${prefix}.0/24 -o ${bridge} -j DROP`,
              `-A DOCKER-ISOLATION-STAGE-1 ! -d ${prefix}.0/24 -i ${bridge} -j DROP`,
            ]
          : [
              `-A DOCKER-ISOLATION-STAGE-1 -i ${bridge} ! -o ${bridge} -j DOCKER-ISOLATION-STAGE-2`,
              `-A DOCKER-ISOLATION-STAGE-2 -o ${bridge} -j DROP`,
            ],
      ),
      '-A DOCKER-USER -j RETURN',
      'COMMIT',
      '',
    ];
    const result = await this.vm.runner.run('iptables-restore', [], { stdin: rules.join('\n') });
    if (result.exitCode !== 0) throw new Error(result.stderr);
  }
}

/** Removes the namespaces of test runs that were killed. */
async function removeAbandoned(): Promise<void> {
  const listing = await must(localCommandRunner, 'ip', 'netns', 'list');
  for (const [name, pid] of listing.matchAll(/^rules(\d+)-\S+/gm)) {
    if (!existsSync(`/proc/${pid}`)) await must(localCommandRunner, 'ip', 'netns', 'delete', name);
  }
}

async function must(runner: CommandRunner, file: string, ...argv: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runner.run(file, argv, { timeoutMillis: 60_000 });
  if (exitCode !== 0) throw new Error(`${file} ${argv.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** Ends a process that this test started. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Runs one of the programs beside this file. */
export function nodeArgv(program: string): [string, ...string[]] {
  return [
    process.execPath,
    '--conditions=@msi-proxy/source',
    fileURLToPath(new URL(program, import.meta.url)),
  ];
}
