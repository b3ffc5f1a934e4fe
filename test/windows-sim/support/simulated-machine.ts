import { INSTANCE_HEADER, type CommandResult } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import type { ProgramOutput, User } from '../src/commands/program.ts';
import type { LinuxInterface, LinuxNetwork, LinuxRoute, TcpEndpoint } from '../src/machine/linux-network.ts';
import { Machine } from '../src/machine/machine.ts';
import type { PortProxyRule } from '../src/machine/port-proxy.ts';
import type { Endpoint, OpenRelay } from '../src/machine/relay.ts';
import { runProgram } from '../src/programs.ts';
import { readSwitches } from '../src/switches.ts';

export const CLIENT_ADDRESS = '172.21.198.75';
export const INTERFACE_INDEX = 24;
const INTERFACE_NAME = 'eth0';
const CURL_NO_CONNECTION = 7;

/** A network namespace that only remembers. */
export class FakeLinuxNetwork implements LinuxNetwork {
  /** Addresses that somebody else on the link answers for. */
  readonly ownedByOthers = new Set<string>();
  readonly listening = new Set<string>();
  readonly #addresses = [{ address: CLIENT_ADDRESS, prefixLength: 20 }];
  #routes: LinuxRoute[] = [
    {
      destination: '0.0.0.0',
      prefixLength: 0,
      gateway: '172.21.192.1',
      interfaceName: INTERFACE_NAME,
      metric: 0,
    },
  ];

  interfaces(): readonly LinuxInterface[] {
    return [
      { name: 'lo', index: 1, addresses: [{ address: '127.0.0.1', prefixLength: 8 }] },
      { name: INTERFACE_NAME, index: INTERFACE_INDEX, addresses: [...this.#addresses] },
    ];
  }

  routes(): readonly LinuxRoute[] {
    return this.#routes;
  }

  tcpEndpoints(): readonly TcpEndpoint[] {
    return [...this.listening].map(local => ({ local, remote: '0.0.0.0:0', state: 'listening' }));
  }

  addAddress(_name: string, address: string, prefixLength: number): Promise<void> {
    this.#addresses.push({ address, prefixLength });
    return Promise.resolve();
  }

  removeAddress(_name: string, address: string): Promise<void> {
    this.#addresses.splice(
      this.#addresses.findIndex(known => known.address === address),
      1,
    );
    return Promise.resolve();
  }

  addRoute(destination: string, prefixLength: number, gateway: string): Promise<void> {
    this.#routes.push({ destination, prefixLength, gateway, interfaceName: INTERFACE_NAME, metric: 0 });
    return Promise.resolve();
  }

  deleteRoute(destination: string): Promise<void> {
    this.#routes = this.#routes.filter(route => route.destination !== destination);
    return Promise.resolve();
  }

  isOwnedByOther(_name: string, address: string): Promise<boolean> {
    return Promise.resolve(this.ownedByOthers.has(address));
  }
}

/** A simulated container whose network and clock are the test's. */
export class SimulatedMachine {
  readonly linux = new FakeLinuxNetwork();
  readonly clock = new FakeClock();
  readonly machine: Machine;
  /** Where connections to a listening endpoint go now, as `address:port`. */
  readonly targets = new Map<string, string>();
  /** Instance ids of the proxies that answer, by `address:port`. */
  readonly proxies = new Map<string, string>();
  #rules: readonly PortProxyRule[] = [];

  private constructor(env: Readonly<Record<string, string>>) {
    this.machine = new Machine({
      switches: readSwitches(env),
      linux: this.linux,
      clock: this.clock,
      rules: { load: () => this.#rules, save: rules => (this.#rules = rules) },
      openRelay: this.#openRelay,
      curl: argv => Promise.resolve(this.#answer(argv)),
    });
  }

  static async boot(env: Readonly<Record<string, string>> = {}): Promise<SimulatedMachine> {
    const simulated = new SimulatedMachine(env);
    await simulated.machine.boot();
    return simulated;
  }

  async run(
    [name, ...argv]: readonly [string, ...string[]],
    user: User = 'ContainerAdministrator',
  ): Promise<ProgramOutput> {
    const output = await runProgram(this.machine, user, name, argv);
    if (output === undefined) throw new Error(`${name} is missing`);
    return output;
  }

  /** Runs a command line without quotes in it. */
  async line(line: string, user?: User): Promise<ProgramOutput> {
    const [name = '', ...argv] = line.split(' ');
    return await this.run([name, ...argv], user);
  }

  async powershell(script: string, user?: User): Promise<ProgramOutput> {
    const encoded = Buffer.from(script, 'utf16le').toString('base64');
    const argv = ['-NoProfile', '-NonInteractive', '-EncodedCommand', encoded];
    return await this.run(['powershell', ...argv], user);
  }

  #answer(argv: readonly string[]): CommandResult {
    const place = new URL(argv.at(-1) ?? '').host;
    const endpoint = place.includes(':') ? place : `${place}:80`;
    const instance = this.proxies.get(this.targets.get(endpoint) ?? endpoint);
    if (instance === undefined) return { exitCode: CURL_NO_CONNECTION, stdout: '', stderr: '' };
    return {
      exitCode: 0,
      stdout: `HTTP/1.1 204 No Content\r\n${INSTANCE_HEADER}: ${instance}\r\n\r\n`,
      stderr: '',
    };
  }

  readonly #openRelay: OpenRelay = (listen, target) => {
    const place = textOf(listen);
    const addresses = this.linux.interfaces().flatMap(known => known.addresses.map(({ address }) => address));
    if (!addresses.includes(listen.address)) return Promise.resolve(undefined);
    const retarget = (to: Endpoint) => this.targets.set(place, textOf(to));
    const close = () => {
      this.targets.delete(place);
      this.linux.listening.delete(place);
    };
    this.linux.listening.add(place);
    retarget(target);
    return Promise.resolve({ retarget, close, destroy: close });
  };
}

function textOf({ address, port }: Endpoint): string {
  return `${address}:${port}`;
}
