import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Clock, CommandRunner } from '@msi-proxy/shared';

export interface LinuxInterface {
  readonly name: string;
  readonly index: number;
  readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[];
}

export interface LinuxRoute {
  readonly destination: string;
  readonly prefixLength: number;
  /** Absent for what is on the link. */
  readonly gateway?: string;
  readonly interfaceName: string;
  readonly metric: number;
}

export interface TcpEndpoint {
  readonly local: string;
  readonly remote: string;
  readonly state: 'listening' | 'established';
}

/** The network namespace that the simulated container really has. */
export interface LinuxNetwork {
  interfaces(): readonly LinuxInterface[];
  routes(): readonly LinuxRoute[];
  tcpEndpoints(): readonly TcpEndpoint[];
  addAddress(interfaceName: string, address: string, prefixLength: number): Promise<void>;
  removeAddress(interfaceName: string, address: string, prefixLength: number): Promise<void>;
  addRoute(destination: string, prefixLength: number, gateway: string): Promise<void>;
  deleteRoute(destination: string, prefixLength: number, gateway: string): Promise<void>;
  /** Whether anyone on the interface's link answers ARP for an address, which is what DAD asks. */
  isOwnedByOther(interfaceName: string, address: string): Promise<boolean>;
}

const ARP_POLLS = 10;
const ARP_POLL_MILLIS = 50;

export function localLinuxNetwork(commands: CommandRunner, clock: Clock): LinuxNetwork {
  const ip = async (...argv: string[]) => {
    const { exitCode, stdout, stderr } = await commands.run('ip', argv);
    if (exitCode !== 0) throw new Error(`ip ${argv.join(' ')}: ${stderr.trim()}`);
    return stdout;
  };
  return {
    interfaces: readInterfaces,
    routes: () => parseRoutes(readFileSync('/proc/net/route', 'utf8')),
    tcpEndpoints: () => parseTcpEndpoints(readFileSync('/proc/net/tcp', 'utf8')),
    addAddress: async (name, address, prefixLength) => {
      await ip('address', 'add', `${address}/${prefixLength}`, 'dev', name);
    },
    removeAddress: async (name, address, prefixLength) => {
      await ip('address', 'del', `${address}/${prefixLength}`, 'dev', name);
    },
    addRoute: async (destination, prefixLength, gateway) => {
      await ip('route', 'add', `${destination}/${prefixLength}`, 'via', gateway);
    },
    deleteRoute: async (destination, prefixLength, gateway) => {
      await ip('route', 'del', `${destination}/${prefixLength}`, 'via', gateway);
    },
    async isOwnedByOther(name, address) {
      // The answer to an earlier question is not one to this.
      await ip('neigh', 'flush', 'to', address, 'dev', name);
      // `use` has the kernel ask the link as if there were a packet to send.
      await ip('neigh', 'replace', address, 'dev', name, 'use');
      for (let polls = 0; polls < ARP_POLLS; polls += 1) {
        await new Promise<void>(resolve => clock.setTimer(resolve, ARP_POLL_MILLIS));
        const neighbours = await ip('neigh', 'show', address, 'dev', name);
        if (neighbours.includes(' lladdr ')) return true;
      }
      return false;
    },
  };
}

function readInterfaces(): LinuxInterface[] {
  return Object.entries(networkInterfaces()).map(([name, addresses = []]) => ({
    name,
    index: Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8')),
    addresses: addresses.flatMap(({ family, address, cidr }) =>
      family === 'IPv4' ? [{ address, prefixLength: Number(cidr?.split('/')[1]) }] : [],
    ),
  }));
}

/** `/proc/net/route`: numbers in the machine's byte order, which is little-endian here. */
export function parseRoutes(text: string): LinuxRoute[] {
  const rows = text.trim().split('\n').slice(1);
  return rows.map(row => {
    const [interfaceName = '', destination = '', gateway = '', , , , metric = '', mask = ''] =
      row.split('\t');
    const next = fromHexadecimal(gateway);
    return {
      destination: fromHexadecimal(destination),
      prefixLength: prefixLengthOf(fromHexadecimal(mask)),
      ...(next !== '0.0.0.0' && { gateway: next }),
      interfaceName,
      metric: Number(metric),
    };
  });
}

const TCP_STATES: Readonly<Record<string, TcpEndpoint['state']>> = { '01': 'established', '0A': 'listening' };

export function parseTcpEndpoints(text: string): TcpEndpoint[] {
  const rows = text.trim().split('\n').slice(1);
  return rows.flatMap(row => {
    const [, local = '', remote = '', code = ''] = row.trim().split(/\s+/);
    const state = TCP_STATES[code];
    return state === undefined ? [] : [{ local: endpointOf(local), remote: endpointOf(remote), state }];
  });
}

function endpointOf(text: string): string {
  const [address = '', port = ''] = text.split(':');
  return `${fromHexadecimal(address)}:${parseInt(port, 16)}`;
}

function fromHexadecimal(text: string): string {
  return [...Buffer.from(text, 'hex').reverse()].join('.');
}

export function prefixLengthOf(mask: string): number {
  const bits = mask
    .split('.')
    .map(octet => Number(octet).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) && bits.length === 32 ? bits.lastIndexOf('1') + 1 : NaN;
}

export function maskOf(prefixLength: number): string {
  const bits = '1'.repeat(prefixLength).padEnd(32, '0');
  return [0, 8, 16, 24].map(start => parseInt(bits.slice(start, start + 8), 2)).join('.');
}
