import assert from 'node:assert/strict';
import { MsiProxyError, silentLogger } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import type { ContainerDetails, EngineClient } from '../../../src/docker/index.ts';
import type { ProxyMember } from '../../../src/proxies/proxy-member.ts';
import { ClientWiring } from '../../../src/reconcile/client-wiring.ts';
import type { DesiredClient } from '../../../src/reconcile/desired-state.ts';
import { createWiringSelector, UNKNOWN_DRIVER } from '../../../src/wiring/select.ts';
import type { ProxyTarget, WirableClient } from '../../../src/wiring/wiring-method.ts';
import { FakeWiring } from '../../support/fake-wiring.ts';
import { network, wirableClient } from '../support/clients.ts';

describe('the wiring of clients', () => {
  const first = wirableClient({ startedAt: '2026-01-01T00:00:00Z' });
  const restarted = wirableClient({ startedAt: '2026-01-02T00:00:00Z' });
  let clock: FakeClock;
  let nat: FakeWiring;
  let portproxy: FakeWiring;
  let serving: ProxyMember | undefined;
  let wiring: ClientWiring;
  let told: (string | number | undefined)[][];
  let held: { readonly what: string; readonly goOn: () => void }[];

  beforeEach(() => {
    clock = new FakeClock();
    nat = new FakeWiring('nat');
    portproxy = new FakeWiring('portproxy');
    serving = proxy('a');
    held = [];
    told = [];
    wiring = new ClientWiring({
      engine: {} as EngineClient,
      clock,
      logger: silentLogger,
      random: () => 0.5,
      selector: createWiringSelector({ methods: [nat, portproxy], setting: 'auto' }),
      serving: () => serving,
      policyKnown: () => Promise.resolve(),
      onWired: (_, ...how) => {
        told.push(how);
      },
    });
  });

  afterEach(async () => {
    held.forEach(({ goOn }) => goOn());
    await wiring.stop();
    assert.equal(nat.overlapped || portproxy.overlapped, false, 'a client was in work twice at a time');
    assert.equal(clock.pendingTimers, 0, 'a timer was leaked');
  });

  function proxy(name: string): ProxyMember {
    const target: ProxyTarget = {
      containerId: name,
      instanceId: name,
      port: 80,
      address: name,
      addressesByNetwork: { bridge: name },
    };
    return { containerId: name, target } as unknown as ProxyMember;
  }

  function wanted(namespace: WirableClient): DesiredClient {
    return { ...refused(namespace), plan: { kind: 'wire', policy: {} as never, namespace } };
  }

  function refused({ containerId: id, startedAt }: WirableClient): DesiredClient {
    const container = { id, startedAt } as ContainerDetails;
    return { container, addresses: [], plan: { kind: 'refuse', reason: 'no' } };
  }

  function hold(method: FakeWiring): void {
    method.holdUp = what =>
      new Promise(resolve => {
        held.push({ what, goOn: resolve });
      });
  }

  /** Fakes wait for turns of the event loop, not for time. */
  async function done(): Promise<void> {
    for (let turns = 0; turns < 5; turns += 1) await settle();
  }

  it('takes the wiring from a client that is refused now, when nothing else is done to it', async () => {
    hold(nat);
    wiring.update([wanted(first)]);
    await done();
    wiring.update([refused(first)]);
    await done();
    assert.deepEqual(
      held.map(({ what }) => what),
      ['apply'],
    );
    held[0]!.goOn();
    await done();
    held[1]!.goOn();
    await done();
    assert.deepEqual(nat.removed, ['app']);
  });

  it('tries again to take it away, as long as the client runs', async () => {
    wiring.update([wanted(first)]);
    await done();
    let attempts = 0;
    nat.holdUp = () => {
      attempts += 1;
      return attempts < 3 ? Promise.reject(new Error('nft said no')) : Promise.resolve();
    };
    nat.remove = async client => {
      await nat.holdUp('remove', client);
      nat.removed.push(client.name);
    };
    wiring.update([refused(first)]);
    await done();
    for (let seconds = 0; seconds < 5; seconds += 1) await clock.advance(1_000);
    assert.deepEqual(nat.removed, ['app']);
    assert.equal(attempts, 3);
  });

  it('does not take a client that was started again for one that is refused', async () => {
    wiring.update([wanted(first)]);
    await done();
    wiring.update([wanted(restarted)]);
    await done();
    assert.deepEqual(nat.removed, []);
    assert.equal(nat.runs.get('app'), restarted.startedAt);
  });

  it('sends a client that is worked on to the next proxy when that work has ended, and not back', async () => {
    const redirected: string[] = [];
    nat.redirect = (client, { address }) => {
      redirected.push(address);
      nat.wired.set(client.name, address);
      return Promise.resolve();
    };
    wiring.update([wanted(first)]);
    await done();
    hold(nat);
    wiring.refreshAll();
    await done();
    serving = proxy('b');
    const following = wiring.follow(serving, { flushFlows: true });
    await done();
    assert.deepEqual(redirected, []);
    held[0]!.goOn();
    await following;
    assert.deepEqual(redirected, ['b']);
    await done();
    held[1]!.goOn();
    await done();
    assert.equal(nat.wired.get('app'), 'b');
    assert.equal(wiring.recordOf(first)?.instanceId, 'b');
    assert.equal(wiring.recordOf(first)?.state, 'wired');
  });

  it('sends also clients to the next proxy that had to wait for one, and none that never was wired', async () => {
    const redirected: string[] = [];
    nat.redirect = client => {
      redirected.push(client.name);
      return Promise.resolve();
    };
    wiring.update([wanted(first)]);
    await done();
    serving = undefined;
    wiring.refreshAll();
    wiring.update([wanted(first), wanted({ ...first, containerId: 'b'.repeat(64), name: 'newcomer' })]);
    await done();
    assert.equal(wiring.recordOf(first)?.state, 'pending');
    serving = proxy('b');

    await wiring.follow(serving, { flushFlows: true });

    assert.deepEqual(redirected, ['app']);
  });

  describe('by a method that verifies what it applies', () => {
    const applications = () => nat.applications.get('app');

    beforeEach(async () => {
      Object.assign(nat, { applyVerifies: true });
      wiring.update([wanted(first)]);
      await done();
      assert.equal(applications(), 1);
    });

    it('looks at a client that is wired, and does nothing to it as long as that holds', async () => {
      wiring.refreshAll();
      await done();
      assert.equal(applications(), 1);
      nat.wired.set('app', 'elsewhere');
      wiring.refreshAll();
      await done();
      assert.equal(applications(), 2);
      assert.equal(nat.wired.get('app'), 'a');
    });

    it('looks at a client that was sent to the next proxy, also when it had to wait for one', async () => {
      nat.redirect = ({ name }, { address }) => {
        nat.wired.set(name, address);
        return Promise.resolve();
      };
      serving = undefined;
      wiring.refreshAll();
      await done();
      serving = proxy('b');
      await wiring.follow(serving, { flushFlows: true });
      wiring.refreshAll();
      await done();
      assert.equal(applications(), 1);
      assert.equal(wiring.recordOf(first)?.instanceId, 'b');
    });

    it('wires a client that nobody sent to the proxy without a look before', async () => {
      serving = proxy('b');
      wiring.refreshAll();
      await done();
      assert.equal(applications(), 2);
      assert.equal(nat.verifications, 0);
    });
  });

  it('does not count a client as wired to a proxy that was left meanwhile', async () => {
    hold(nat);
    wiring.update([wanted(first)]);
    await done();
    serving = undefined;
    held[0]!.goOn();
    await done();
    assert.equal(wiring.recordOf(first)?.state, 'pending');
    assert.match(wiring.recordOf(first)?.reason ?? '', /no proxy/);
  });

  it('says how soon a client was wired, but not when the clock was set back past its start', async () => {
    wiring.update([wanted(first)]);
    await done();
    assert.equal(wiring.recordOf(first)?.wiredAfterMillis, 0);
    wiring.update([wanted(restarted)]);
    await done();
    assert.equal(wiring.recordOf(restarted)?.state, 'wired');
    assert.equal(wiring.recordOf(restarted)?.wiredAfterMillis, undefined);
  });

  it('does not say that a client is wired whose networks have changed, before that is proved', async () => {
    wiring.update([wanted(first)]);
    await done();
    hold(nat);
    wiring.update([wanted({ ...first, networks: [network({ address: '172.17.0.3' })] })]);
    assert.equal(wiring.recordOf(first)?.state, 'pending');
    assert.equal(wiring.recordOf(first)?.reason, 'its networks have changed');
    await done();
    held[0]!.goOn();
    await done();
    assert.equal(wiring.recordOf(first)?.state, 'wired');
  });

  it('leaves one wired whose networks have changed, where one rule serves all', async () => {
    Object.assign(nat, { movesWithProxy: true });
    wiring.update([wanted(first)]);
    await done();
    wiring.update([wanted({ ...first, networks: [network({ address: '172.17.0.3' })] })]);
    assert.equal(wiring.recordOf(first)?.state, 'wired');
  });

  it('tells of the time since the start only when a client is wired for the first time', async () => {
    wiring.update([wanted(first)]);
    await done();
    serving = proxy('b');
    wiring.refreshAll();
    await done();
    assert.deepEqual(told, [
      ['nat', 0],
      ['nat', undefined],
    ]);
    assert.equal(wiring.recordOf(first)?.wiredAfterMillis, 0);
  });

  it('takes only a client for new that was started since, and never was wired', async () => {
    wiring.update([wanted(first)]);
    await done();
    wiring.refreshAll();
    await done();
    assert.deepEqual(nat.takenForNew, [true, false]);
    wiring.update([wanted(wirableClient({ startedAt: '2025-12-31T23:59:59Z' }))]);
    await done();
    assert.deepEqual(nat.takenForNew, [true, false, false]);
  });

  it('takes the wiring away before it wires a client by another method', async () => {
    wiring.update([wanted(first)]);
    await done();
    nat.unsuitable.add('app');
    hold(nat);
    wiring.refreshAll();
    await done();
    assert.deepEqual(
      held.map(({ what }) => what),
      ['remove'],
    );
    assert.ok(!portproxy.wired.has('app'));
    held[0]!.goOn();
    await done();
    assert.deepEqual(nat.removed, ['app']);
    assert.equal(portproxy.wired.get('app'), 'a');
    assert.equal(wiring.recordOf(first)?.method, 'portproxy');
  });

  describe('without a way into the client', () => {
    const noWay = () => Promise.reject(new MsiProxyError('MSI_WIRING_NO_CAPABILITY', 'no SYS_ADMIN'));

    it('wires it by another method that suits it from now on, since nothing was done to it', async () => {
      nat.apply = noWay;
      nat.remove = noWay;
      wiring.update([wanted(first)]);
      await done();
      assert.equal(wiring.recordOf(first)?.state, 'failed');
      nat.unsuitable.add('app');
      wiring.refreshAll();
      await done();
      assert.equal(wiring.recordOf(first)?.state, 'wired');
      assert.equal(wiring.recordOf(first)?.method, 'portproxy');
    });

    for (const [what, outcome] of [
      ['was wired', () => Promise.resolve('applied' as const)],
      ['may be wired in part', () => Promise.reject(new Error('nft said no'))],
    ] as const) {
      it(`does not wire one by another method that ${what}`, async () => {
        nat.apply = outcome;
        nat.verify = () => Promise.resolve();
        nat.remove = noWay;
        wiring.update([wanted(first)]);
        await done();
        nat.unsuitable.add('app');
        wiring.refreshAll();
        await done();
        assert.equal(wiring.recordOf(first)?.state, 'failed');
        assert.equal(wiring.recordOf(first)?.reason, 'no SYS_ADMIN');
        assert.ok(!portproxy.wired.has('app'));
      });
    }

    it('does not forget what was done to it when it cannot be looked at later', async () => {
      nat.remove = noWay;
      wiring.update([wanted(first)]);
      await done();
      nat.apply = noWay;
      wiring.refreshAll();
      await done();
      nat.unsuitable.add('app');
      wiring.refreshAll();
      await done();
      assert.ok(!portproxy.wired.has('app'));
    });
  });

  it('does nothing to a client before it is known what kind of network it is on', async () => {
    const unknown = network({ driver: UNKNOWN_DRIVER });
    wiring.update([wanted({ ...first, networks: [unknown] })]);
    await done();
    assert.equal(wiring.recordOf(first)?.state, 'pending');
    assert.match(wiring.recordOf(first)?.reason ?? '', /nothing is known yet of its network/);
    assert.equal(nat.applications.size, 0);
    wiring.update([wanted(first)]);
    await done();
    assert.equal(wiring.recordOf(first)?.state, 'wired');
  });

  it('remembers by which method a client is wired while none suits it', async () => {
    wiring.update([wanted(first)]);
    await done();
    nat.unsuitable.add('app');
    portproxy.unsuitable.add('app');
    wiring.refreshAll();
    await done();
    assert.equal(wiring.recordOf(first)?.state, 'refused');
    portproxy.unsuitable.delete('app');
    wiring.refreshAll();
    await done();
    assert.deepEqual(nat.removed, ['app']);
    assert.equal(portproxy.wired.get('app'), 'a');
  });
});
