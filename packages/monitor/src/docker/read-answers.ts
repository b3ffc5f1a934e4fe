import { isIPv4 } from 'node:net';
import type { ContainerDetails, ContainerNetwork, NetworkDetails } from './engine-client.ts';
import { arrayOf, numberOf, recordOf, stringOf, stringRecordOf } from './reading.ts';

export function readContainer(answer: unknown): ContainerDetails {
  const container = recordOf(answer);
  const config = recordOf(container['Config']);
  const state = recordOf(container['State']);
  const settings = recordOf(container['NetworkSettings']);
  return {
    id: stringOf(container['Id']),
    name: stringOf(container['Name']).replace(/^\//, ''),
    image: stringOf(config['Image']),
    labels: stringRecordOf(config['Labels']),
    platform: stringOf(container['Platform']) || 'linux',
    running: state['Running'] === true,
    paused: state['Paused'] === true,
    startedAt: stringOf(state['StartedAt']),
    pid: numberOf(state['Pid']),
    networkMode: stringOf(recordOf(container['HostConfig'])['NetworkMode']),
    sandboxKey: stringOf(settings['SandboxKey']),
    networks: Object.entries(recordOf(settings['Networks'])).map(([name, network]) =>
      readContainerNetwork(name, network),
    ),
  };
}

// Only here: `NetworkSettings.IPAddress` is empty on user networks and gone since API 1.52.
function readContainerNetwork(name: string, answer: unknown): ContainerNetwork {
  const network = recordOf(answer);
  return { name, networkId: stringOf(network['NetworkID']), address: ipv4(stringOf(network['IPAddress'])) };
}

export function readNetwork(answer: unknown): NetworkDetails {
  const network = recordOf(answer);
  const endpoints = Object.entries(recordOf(network['Containers'])).flatMap(
    ([id, endpoint]): [string, string][] => {
      const address = ipv4(stringOf(recordOf(endpoint)['IPv4Address']).split('/')[0] ?? '');
      return address === '' ? [] : [[id, address]];
    },
  );
  return {
    id: stringOf(network['Id']),
    name: stringOf(network['Name']),
    driver: stringOf(network['Driver']),
    internal: network['Internal'] === true,
    options: stringRecordOf(network['Options']),
    gateway: arrayOf(recordOf(network['IPAM'])['Config'])
      .map(config => ipv4(stringOf(recordOf(config)['Gateway'])))
      .find(gateway => gateway !== ''),
    endpoints: new Map(endpoints),
  };
}

function ipv4(text: string): string {
  return isIPv4(text) ? text : '';
}
