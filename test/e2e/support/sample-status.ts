import type { ClientStatus, MonitorStatus } from '@msi-proxy/shared';

const IDENTITIES =
  '/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities';
const VAULT = 'https://vault.azure.net';
const STORAGE = 'https://storage.azure.com';
const MANAGEMENT = 'https://management.azure.com';

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** A VM with a bit of everything, as of now. */
export function sampleStatus(nowMillis = Date.now()): MonitorStatus {
  const ago = (seconds: number) => new Date(nowMillis - seconds * 1_000).toISOString();
  let count = 0;
  const client = (name: string, changes: Partial<ClientStatus> = {}): ClientStatus => {
    count += 1;
    return {
      containerId: (count * 7_919).toString(16).padStart(4, 'c').repeat(16),
      name,
      image: `registry.example/shop/${name}:2.${count}`,
      startedAt: ago(2 * HOUR + count * 67),
      state: 'wired',
      since: ago(2 * HOUR + count * 67 - 1),
      method: 'host',
      addresses: [`172.17.0.${count + 1}`],
      wiredAfterMillis: 70 + ((count * 37) % 120),
      policy: policyOf(name, [VAULT]),
      traffic: { requests: 412 * count, refusals: 0 },
      tokens: [1],
      ...changes,
    };
  };
  return {
    version: '0.1.0',
    hostname: 'shop-vm-07',
    startedAt: ago(9 * 24 * HOUR),
    engine: { state: 'connected', since: ago(9 * 24 * HOUR), version: '28.2.2', apiVersion: '1.50' },
    guard: {
      mode: 'enforce',
      state: 'in-place',
      repairs: 1,
      lastRepair: { at: ago(3 * HOUR), differences: ['the chain forward was missing'] },
      stopped: [
        { address: '172.17.0.14', name: 'old-agent', attempts: 1_204, lastAt: ago(4) },
        { address: '172.18.0.3', name: 'notebook', attempts: 2, lastAt: ago(40 * MINUTE) },
      ],
    },
    proxies: [
      proxyOf('msi-proxy', 'serving', '172.31.250.2', ago(26 * HOUR)),
      proxyOf('msi-proxy-2', 'standby', '172.31.250.3', ago(25 * HOUR)),
    ],
    clients: [
      client('orders', { tokens: [1, 2] }),
      client('payments'),
      client('reports', {
        policy: {
          identity: 'system',
          identities: ['system'],
          resources: ['*'],
          endpoints: ['token', 'instance'],
        },
        traffic: {
          requests: 88,
          refusals: 3,
          lastRefusal: { at: ago(2 * MINUTE), reason: 'endpoint-not-granted' },
        },
        tokens: [3],
      }),
      client('billing', {
        state: 'refused',
        reason: 'label com.msi-proxy.identty is "system": expected no such label',
      }),
      client('indexer', { tokens: [2] }),
      client('thumbnails', {
        startedAt: ago(2),
        since: ago(2),
        state: 'pending',
        reason: 'its wiring is being verified',
      }),
      client('metrics-agent', { method: 'nat', tokens: [3] }),
      client('checkout'),
    ].map(plain),
    tokens: [
      token(2, 'indexer', STORAGE, ago(9 * HOUR), ago(-15 * HOUR), 731),
      token(3, 'system', MANAGEMENT, ago(23 * HOUR + 54 * MINUTE), ago(-4 * MINUTE), 88),
      token(1, 'orders', VAULT, ago(HOUR), ago(-23 * HOUR), 5_120),
    ],
    events: [
      [3 * HOUR, 'The packet rules of the VM had changed and were mended'],
      [2 * HOUR + 20, 'Client "checkout" appeared'],
      [2 * HOUR + 19, 'Client "checkout" is wired by host after 124 ms'],
      [70 * MINUTE, 'Proxy "msi-proxy" serves'],
      [40 * MINUTE, 'The guard stopped container "notebook" at 172.18.0.3 on a way past the proxy'],
      [
        4 * MINUTE,
        'Client "billing" is refused: label com.msi-proxy.identty is "system": expected no such label',
      ],
      [2, 'Client "thumbnails" appeared'],
    ].map(([seconds, message]) => ({ at: ago(Number(seconds)), message: String(message) })),
  };
}

function policyOf(identity: string, resources: readonly string[]): NonNullable<ClientStatus['policy']> {
  const id = `${IDENTITIES}/${identity}`;
  return {
    identity: id,
    identities: [id],
    resources,
    endpoints: ['token', 'identity-info', 'instance', 'loadbalancer'],
  };
}

function proxyOf(
  name: string,
  state: 'serving' | 'standby',
  address: string,
  since: string,
): MonitorStatus['proxies'][number] {
  const containerId = name.length.toString(16).padStart(4, 'a').repeat(16);
  return { containerId, name, state, since, address, version: '0.1.0', imds: { state: 'answering' } };
}

function token(
  id: number,
  identity: string,
  resource: string,
  receivedAt: string,
  expiresAt: string,
  hits: number,
): NonNullable<MonitorStatus['tokens']>[number] {
  const name = identity === 'system' ? identity : `${IDENTITIES}/${identity}`;
  return { id, identity: name, resource, receivedAt, expiresAt, hits };
}

/** What is not wired has nothing to show for it. */
function plain(client: ClientStatus): ClientStatus {
  if (client.state === 'wired') return client;
  const {
    traffic: _traffic,
    tokens: _tokens,
    wiredAfterMillis: _took,
    method: _method,
    policy,
    ...rest
  } = client;
  return client.state === 'refused' || policy === undefined ? rest : { ...rest, policy };
}
