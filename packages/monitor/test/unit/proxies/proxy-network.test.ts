import assert from 'node:assert/strict';
import type { EngineClient, NetworkDetails, NewNetwork } from '../../../src/docker/index.ts';
import { ensureProxyNetwork } from '../../../src/proxies/proxy-network.ts';

/** An engine with networks and nothing else. */
class FakeNetworks implements Pick<EngineClient, 'inspectNetwork' | 'createNetwork'> {
  readonly created: NewNetwork[] = [];
  readonly #networks = new Map<string, NetworkDetails>();

  add(network: Partial<NetworkDetails> & { readonly name: string }): void {
    this.#networks.set(network.name, {
      id: `id of ${network.name}`,
      driver: 'bridge',
      internal: false,
      options: {},
      labels: {},
      gateway: '172.31.250.1',
      containers: {},
      ...network,
    });
  }

  async inspectNetwork(name: string): Promise<NetworkDetails | undefined> {
    return await Promise.resolve(this.#networks.get(name));
  }

  async createNetwork(network: NewNetwork): Promise<void> {
    this.created.push(network);
    this.add({ name: network.name, driver: network.driver, options: network.options });
    await Promise.resolve();
  }
}

describe('ensureProxyNetwork', () => {
  let engine: FakeNetworks;

  beforeEach(() => {
    engine = new FakeNetworks();
  });

  it('makes a bridge network whose interface has a name that is known beforehand', async () => {
    const { bridge } = await ensureProxyNetwork({ engine, name: 'msi-proxy-net', driver: 'bridge' });
    assert.equal(bridge.interfaceName, 'msi-proxy0');
    assert.equal(engine.created[0]?.driver, 'bridge');
  });

  it('makes a NAT network, without the options of bridges, on Windows', async () => {
    await ensureProxyNetwork({ engine, name: 'own', driver: 'nat', subnet: '172.31.250.0/24' });
    const [{ driver, options, subnet } = { driver: '', options: {} }] = engine.created;
    assert.deepEqual([driver, options, subnet], ['nat', {}, '172.31.250.0/24']);
  });

  it("takes Windows' own NAT network as it is", async () => {
    engine.add({ name: 'nat', driver: 'nat', gateway: '172.21.192.1' });
    const { id, bridge } = await ensureProxyNetwork({ engine, name: 'nat', driver: 'nat' });
    assert.deepEqual([id, bridge.gateway], ['id of nat', '172.21.192.1']);
    assert.deepEqual(engine.created, []);
  });

  it('refuses networks that cannot carry requests to IMDS', async () => {
    engine.add({ name: 'transparent', driver: 'transparent' });
    engine.add({ name: 'internal', internal: true });
    for (const name of ['transparent', 'internal']) {
      await assert.rejects(ensureProxyNetwork({ engine, name, driver: 'nat' }), {
        code: 'MSI_WIRING_NOT_APPLICABLE',
        message: /expected a bridge network that is not internal \(a NAT network on Windows\)/,
      });
    }
  });
});
