import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import type { VmRules } from '../../../src/guard/vm-rules.ts';
import { createHostWiring } from '../../../src/wiring/host.ts';
import type { ClientNetwork, WiringMethod } from '../../../src/wiring/wiring-method.ts';
import { network, proxyTarget, wirableClient } from '../support/clients.ts';

interface Situation {
  readonly drift?: readonly string[];
  readonly target?: VmRules['target'];
  readonly internalNetworksAreRouted?: boolean;
}

function hostWiring({ drift = [], target, internalNetworksAreRouted = true }: Situation = {}): WiringMethod {
  return createHostWiring({
    lull: () => Promise.resolve(),
    rules: { target, drift: () => Promise.resolve(drift) },
    proxyNetwork: 'msi-proxy-net',
    internalNetworksAreRouted: () => internalNetworksAreRouted,
    clock: new FakeClock(),
  });
}

describe('createHostWiring', () => {
  describe('suits', () => {
    const suited: Record<string, ClientNetwork[]> = {
      'the default bridge': [network()],
      'an overlay network': [network({ driver: 'overlay' })],
      'an internal network': [network({ internal: true })],
      'two bridges': [network(), network({ name: 'user' })],
      'a network and one that it has no address on yet': [network(), network({ name: 'user', address: '' })],
    };
    for (const [what, networks] of Object.entries(suited)) {
      it(`a container on ${what}`, () => {
        assert.deepEqual(hostWiring().suits(wirableClient({ networks })), { suitable: true });
      });
    }

    const unsuited: Record<string, [networks: ClientNetwork[], reason: RegExp]> = {
      'no network': [[], /no address/],
      'a network without an address': [[network({ address: '' })], /no address/],
      "the VM's network": [[network({ name: 'host', driver: 'host', address: '' })], /no address/],
      'a macvlan network': [[network({ name: 'lan', driver: 'macvlan' })], /network lan \(macvlan\)/],
      'a bridge and an ipvlan network': [
        [network(), network({ name: 'lan', driver: 'ipvlan' })],
        /network lan \(ipvlan\)/,
      ],
      "a bridge and the proxies' network": [
        [network(), network({ name: 'msi-proxy-net', address: '172.31.250.9' })],
        /on the proxies' network msi-proxy-net/,
      ],
      'a network of a plug-in': [[network({ driver: 'weave' })], /weave/],
    };
    for (const [what, [networks, reason]] of Object.entries(unsuited)) {
      it(`not a container on ${what}`, () => {
        const suitability = hostWiring().suits(wirableClient({ networks }));

        assert.ok(!suitability.suitable);
        assert.match(suitability.reason, reason);
      });
    }

    it('not a Windows container', () => {
      assert.ok(!hostWiring().suits(wirableClient({ platform: 'windows' })).suitable);
    });

    it('a container on internal networks only where the engine routes those', () => {
      const wiring = hostWiring({ internalNetworksAreRouted: false });
      const internal = network({ internal: true });

      assert.ok(!wiring.suits(wirableClient({ networks: [internal] })).suitable);
      assert.ok(wiring.suits(wirableClient({ networks: [internal, network()] })).suitable);
    });
  });

  describe('verify', () => {
    it('holds when the rules of the VM send requests to the target', async () => {
      await hostWiring({ target: { address: '172.31.250.2', port: 80 } }).verify(
        wirableClient(),
        proxyTarget,
      );
    });

    it('looks at the rules once a second for all clients, and at once after a look that found something', async () => {
      const clock = new FakeClock();
      const findings: string[][] = [[], ['gone'], []];
      let looks = 0;
      const wiring = createHostWiring({
        lull: () => Promise.resolve(),
        rules: { target: proxyTarget, drift: async () => await Promise.resolve(findings[looks++] ?? []) },
        proxyNetwork: 'msi-proxy-net',
        internalNetworksAreRouted: () => true,
        clock,
      });
      const verify = async () => await wiring.verify(wirableClient(), proxyTarget);

      for (let client = 0; client < 100; client += 1) await verify();
      assert.equal(looks, 1);
      await clock.advance(1_000);
      await assert.rejects(verify(), { code: 'MSI_WIRING_NOT_EFFECTIVE' });
      await verify();

      assert.equal(looks, 3);
    });

    it('fails with what differs', async () => {
      const wiring = hostWiring({ target: proxyTarget, drift: ['the table ip msi_proxy is missing'] });

      await assert.rejects(wiring.verify(wirableClient(), proxyTarget), {
        code: 'MSI_WIRING_NOT_EFFECTIVE',
        message: /the table ip msi_proxy is missing/,
      });
    });

    for (const target of [
      undefined,
      { address: '172.31.250.3', port: 80 },
      { address: '172.31.250.2', port: 8080 },
    ]) {
      it(`fails while requests go to ${JSON.stringify(target)}`, async () => {
        await assert.rejects(hostWiring({ target }).verify(wirableClient(), proxyTarget), {
          code: 'MSI_WIRING_NOT_EFFECTIVE',
        });
      });
    }
  });

  it('does nothing to the single container', async () => {
    const wiring = hostWiring();

    assert.equal(await wiring.apply(wirableClient(), proxyTarget), 'unchanged');
    await wiring.remove(wirableClient());
  });
});
