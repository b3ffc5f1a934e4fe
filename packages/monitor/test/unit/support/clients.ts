import type { ClientNetwork, ProxyTarget, WirableClient } from '../../../src/wiring/wiring-method.ts';

export function network(changes: Partial<ClientNetwork> = {}): ClientNetwork {
  return { name: 'bridge', driver: 'bridge', internal: false, address: '172.17.0.2', ...changes };
}

export function wirableClient(changes: Partial<WirableClient> = {}): WirableClient {
  return {
    containerId: 'c'.repeat(64),
    name: 'app',
    startedAt: '2026-01-01T00:00:00Z',
    pid: 4242,
    sandboxKey: '/var/run/docker/netns/5a1b',
    networks: [network()],
    platform: 'linux',
    isolation: '',
    paused: false,
    ...changes,
  };
}

export const proxyTarget: ProxyTarget = {
  containerId: 'p'.repeat(64),
  instanceId: 'instance-1',
  port: 80,
  address: '172.31.250.2',
  addressesByNetwork: { 'msi-proxy-net': '172.31.250.2' },
};
