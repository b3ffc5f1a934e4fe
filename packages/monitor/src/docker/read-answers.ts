import { isIPv4 } from 'node:net';
import type {
  ContainerDetails,
  ContainerNetwork,
  ContainerState,
  ContainerSummary,
  NetworkDetails,
  NetworkMember,
} from './engine-client.ts';
import { arrayOf, numberOf, recordOf, stringOf, stringRecordOf } from './reading.ts';

const CONTAINER_STATES: readonly string[] = [
  'created',
  'running',
  'paused',
  'restarting',
  'removing',
  'exited',
  'dead',
] satisfies ContainerState[];

export function readContainerList(answer: unknown): ContainerSummary[] {
  return arrayOf(answer)
    .map(recordOf)
    .map(container => ({
      id: stringOf(container['Id']),
      // Links give a container further names, which have two slashes.
      name:
        arrayOf(container['Names'])
          .map(stringOf)
          .find(name => /^\/[^/]+$/.test(name))
          ?.slice(1) ?? '',
      state: readState(container['State']),
      labels: stringRecordOf(container['Labels']),
      image: stringOf(container['Image']),
      createdAt: timeOf(container['Created']),
      networkMode: stringOf(recordOf(container['HostConfig'])['NetworkMode']),
      networks: readContainerNetworks(container['NetworkSettings']),
    }))
    .filter(({ id }) => id !== '');
}

export function readContainer(answer: unknown): ContainerDetails {
  const container = recordOf(answer);
  const config = recordOf(container['Config']);
  const hostConfig = recordOf(container['HostConfig']);
  const state = recordOf(container['State']);
  const settings = recordOf(container['NetworkSettings']);
  const id = stringOf(container['Id']);
  const networkMode = stringOf(hostConfig['NetworkMode']);
  const fileOwner = ownerOfFile(stringOf(container['HostnamePath']));
  const hasJoined = networkMode.startsWith('container:') && fileOwner !== undefined && fileOwner !== id;
  return {
    id,
    name: stringOf(container['Name']).replace(/^\//, ''),
    image: stringOf(config['Image']),
    labels: stringRecordOf(config['Labels']),
    platform: container['Platform'] === 'windows' ? 'windows' : 'linux',
    state: readState(state['Status']),
    startedAt: stringOf(state['StartedAt']),
    pid: numberOf(state['Pid']),
    networkMode,
    ...(hasJoined && { startedInNetworkOf: fileOwner }),
    sandboxKey: stringOf(settings['SandboxKey']),
    networks: readContainerNetworks(settings),
    mayForgePackets: hasRawSockets(hostConfig),
    isolation: stringOf(hostConfig['Isolation']),
  };
}

/**
 * Whose folder of the engine a file is in. At its start, a container that joins another one's network gets that one's files
 * for its host name (moby, `initializeNetworkingPaths`).
 */
function ownerOfFile(path: string): string | undefined {
  return /\/containers\/([0-9a-f]{64})\/[^/]+$/.exec(path)?.[1];
}

/** As the engine combines them: what is added counts more than what is dropped, unless all are added (daemon/caps). */
function hasRawSockets(hostConfig: Readonly<Record<string, unknown>>): boolean {
  if (hostConfig['Privileged'] === true) return true;
  const namesIt = (list: unknown, name: string) =>
    arrayOf(list).some(each => stringOf(each).toUpperCase().replace(/^CAP_/, '') === name);
  const { CapAdd: added, CapDrop: dropped } = hostConfig;
  if (namesIt(added, 'ALL')) return !namesIt(dropped, 'NET_RAW');
  if (namesIt(added, 'NET_RAW')) return true;
  return !namesIt(dropped, 'ALL') && !namesIt(dropped, 'NET_RAW');
}

/** Reads a list of containers for what they have on the network of this name. */
export function readNetworkMembers(answer: unknown, network: string): NetworkMember[] {
  return arrayOf(answer)
    .map(recordOf)
    .map(container => {
      const networks = recordOf(recordOf(container['NetworkSettings'])['Networks']);
      return {
        containerId: stringOf(container['Id']),
        state: readState(container['State']),
        askedAddress: ipv4(recordOf(recordOf(networks[network])['IPAMConfig'])['IPv4Address']),
      };
    })
    .filter(({ containerId }) => containerId !== '');
}

export function readNetwork(answer: unknown): NetworkDetails {
  const network = recordOf(answer);
  const pool = arrayOf(recordOf(network['IPAM'])['Config'])
    .map(recordOf)
    .find(config => ipv4(config['Subnet']) !== '');
  const driver = stringOf(network['Driver']);
  const gateway = ipv4(pool?.['Gateway']) || impliedGateway(driver, pool);
  return {
    id: stringOf(network['Id']),
    name: stringOf(network['Name']),
    driver,
    internal: network['Internal'] === true,
    options: stringRecordOf(network['Options']),
    labels: stringRecordOf(network['Labels']),
    ...(pool !== undefined && { subnet: stringOf(pool['Subnet']) }),
    ...(gateway !== '' && { gateway }),
    containers: Object.fromEntries(
      Object.entries(recordOf(network['Containers'])).map(([id, endpoint]) => [
        id,
        { address: ipv4(recordOf(endpoint)['IPv4Address']) },
      ]),
    ),
  };
}

// Only here: `NetworkSettings.IPAddress` is empty on user networks and gone since API 1.52.
function readContainerNetworks(settings: unknown): ContainerNetwork[] {
  return Object.entries(recordOf(recordOf(settings)['Networks'])).map(([name, answer]) => {
    const network = recordOf(answer);
    const endpointId = stringOf(network['EndpointID']);
    return {
      name,
      networkId: stringOf(network['NetworkID']),
      address: ipv4(network['IPAddress']),
      ...(endpointId !== '' && { endpointId }),
    };
  });
}

/** Of seconds since 1970. */
function timeOf(answer: unknown): string {
  const time = new Date(numberOf(answer) * 1_000);
  return Number.isNaN(time.getTime()) ? '' : time.toISOString();
}

// A state that is not known must not be taken for one that can be wired.
function readState(answer: unknown): ContainerState {
  return CONTAINER_STATES.includes(stringOf(answer)) ? (answer as ContainerState) : 'dead';
}

/**
 * An engine that was given a subnet without a gateway gives the bridge the first address, but does not tell it (seen with
 * Docker 28). With a range for containers, the address is one of that range: which, is not known.
 */
function impliedGateway(driver: string, pool: Readonly<Record<string, unknown>> = {}): string {
  if (driver !== 'bridge' || stringOf(pool['IPRange']) !== '') return '';
  const [base = '', bits = ''] = stringOf(pool['Subnet']).split('/');
  if (!isIPv4(base) || !/^\d{1,2}$/.test(bits)) return '';
  const number = base.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(bits));
  const first = number - (number % size) + 1;
  return [24, 16, 8, 0].map(shift => Math.floor(first / 2 ** shift) % 256).join('.');
}

/** The address of `a.b.c.d` or `a.b.c.d/n`; empty for anything else. */
function ipv4(answer: unknown): string {
  const address = stringOf(answer).split('/')[0] ?? '';
  return isIPv4(address) ? address : '';
}
