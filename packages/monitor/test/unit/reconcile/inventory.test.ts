import assert from 'node:assert/strict';
import { MsiProxyError } from '@msi-proxy/shared';
import { settle } from '@msi-proxy/shared/testing';
import type { ContainerDetails, EngineClient, NetworkDetails } from '../../../src/docker/index.ts';
import { Inventory } from '../../../src/reconcile/inventory.ts';

const ID = 'c'.repeat(64);
const RUNNING: ContainerDetails = {
  id: ID,
  name: 'name',
  image: 'image',
  labels: {},
  platform: 'linux',
  state: 'running',
  startedAt: '2026-01-01T00:00:00Z',
  pid: 1,
  networkMode: 'bridge',
  sandboxKey: '',
  networks: [{ name: 'bridge', networkId: 'n1', address: '172.17.0.2', endpointId: 'e1' }],
  mayForgePackets: true,
  isolation: '',
};

describe('Inventory', () => {
  /** What the engine is asked, to be answered by the test. */
  let asked: PromiseWithResolvers<ContainerDetails | undefined>[];
  let inventory: Inventory;

  beforeEach(() => {
    asked = [];
    inventory = new Inventory({
      inspectContainer: async () => {
        const question = Promise.withResolvers<ContainerDetails | undefined>();
        asked.push(question);
        return await question.promise;
      },
    } as unknown as EngineClient);
  });

  function container(name: string): ContainerDetails {
    return { id: ID, name, state: 'running', platform: 'linux', networks: [] } as unknown as ContainerDetails;
  }

  it('reads a container once more for all who ask while it is read', async () => {
    const first = inventory.readContainer(ID);
    const others = [inventory.readContainer(ID), inventory.readContainer(ID), inventory.readContainer(ID)];
    await settle();
    assert.equal(asked.length, 1);

    asked[0]!.resolve(container('before'));
    assert.equal((await first)?.name, 'before');
    await settle();
    assert.equal(asked.length, 2);
    asked[1]!.resolve(container('after'));

    assert.deepEqual(
      (await Promise.all(others)).map(read => read?.name),
      ['after', 'after', 'after'],
    );
    assert.equal(inventory.container(ID)?.name, 'after');
  });

  it('reads again for who comes later, also when nobody has come meanwhile', async () => {
    for (const name of ['a', 'b', 'c']) {
      const read = inventory.readContainer(ID);
      asked.at(-1)!.resolve(container(name));
      assert.equal((await read)?.name, name);
    }
    assert.equal(asked.length, 3);
  });

  it('goes on after a reading that failed', async () => {
    const first = inventory.readContainer(ID);
    const second = inventory.readContainer(ID);
    asked[0]!.reject(new Error('the engine is busy'));
    await assert.rejects(first, /busy/);
    await settle();
    asked[1]!.resolve(undefined);

    assert.equal(await second, undefined);
    assert.equal(inventory.container(ID), undefined);
  });

  describe('with many questions', () => {
    const OTHERS = Array.from({ length: 40 }, (_, at) => `other ${at}`);
    let open: Map<string, PromiseWithResolvers<undefined>>;
    let listings: PromiseWithResolvers<never[]>[];

    beforeEach(() => {
      open = new Map();
      listings = [];
      inventory = new Inventory({
        inspectContainer: async (id: string) => {
          const question = Promise.withResolvers<undefined>();
          open.set(id, question);
          await question.promise.finally(() => open.delete(id));
        },
        listContainers: async () => {
          const listing = Promise.withResolvers<never[]>();
          listings.push(listing);
          return await listing.promise;
        },
      } as unknown as EngineClient);
    });

    it('asks 32 at a time, those first for which somebody waits', async () => {
      for (const id of OTHERS) void inventory.readContainer(id);
      void inventory.readContainer('urgent', { urgent: true });
      void inventory.readContainer('other 39', { urgent: true });
      await settle();
      assert.equal(open.size, 32);
      assert.ok(inventory.isBusy);
      open.get('other 0')!.resolve(undefined);
      open.get('other 1')!.resolve(undefined);
      await settle();
      assert.equal(open.size, 32);
      assert.ok(open.has('urgent'));
      assert.ok(open.has('other 39'), 'somebody came to wait for it');
    });

    it('goes on when questions that hang have ended by their time', async () => {
      const asked = OTHERS.map(id => inventory.readContainer(id).catch(() => 'failed'));
      await settle();
      for (const question of [...open.values()]) question.reject(new Error('no answer in time'));
      await settle();
      assert.deepEqual([...open.keys()], OTHERS.slice(32));
      for (const question of [...open.values()]) question.resolve(undefined);
      assert.equal((await Promise.all(asked)).filter(result => result === 'failed').length, 32);
      assert.ok(!inventory.isBusy);
    });

    it('lists once for all who ask what is new while it lists', async () => {
      const first = inventory.readNew();
      const others = [inventory.readNew(), inventory.readNew(), inventory.readNew()];
      await settle();
      assert.equal(listings.length, 1);
      listings[0]!.resolve([]);
      await first;
      await settle();
      assert.equal(listings.length, 2);
      listings[1]!.resolve([]);
      await Promise.all(others);
      assert.equal(listings.length, 2);
    });
  });

  describe('with a container on a network that is not known yet', () => {
    const BRIDGE = { id: 'n1', name: 'bridge', driver: 'bridge' } as NetworkDetails;
    /** What the engine is asked about its networks, to be answered by the test. */
    let listings: PromiseWithResolvers<readonly NetworkDetails[]>[];

    beforeEach(() => {
      listings = [];
      inventory = new Inventory({
        inspectContainer: () => Promise.resolve(RUNNING),
        listNetworks: async () => {
          const listing = Promise.withResolvers<readonly NetworkDetails[]>();
          listings.push(listing);
          return await listing.promise;
        },
      } as unknown as EngineClient);
    });

    it('does not have the container without its network', async () => {
      const read = inventory.readContainer(ID);
      await settle();
      assert.equal(inventory.container(ID), undefined);
      listings[0]!.resolve([BRIDGE]);
      await read;
      assert.deepEqual(inventory.snapshot.containers, [RUNNING]);
      assert.deepEqual(inventory.snapshot.networks, [BRIDGE]);
    });

    it('does not replace what it has read of networks by an older answer', async () => {
      const before = inventory.readNetworks();
      const read = inventory.readContainer(ID);
      await settle();
      assert.equal(listings.length, 1, 'one reading at a time');
      listings[0]!.resolve([]);
      await settle();
      listings[1]!.resolve([BRIDGE]);
      await Promise.all([before, read]);
      assert.deepEqual(inventory.snapshot.networks, [BRIDGE]);
    });

    it('has not read the container when its network could not be', async () => {
      const read = inventory.readContainer(ID);
      await settle();
      listings[0]!.reject(new Error('the engine is busy'));
      await assert.rejects(read, /busy/);
      assert.equal(inventory.container(ID), undefined);
    });
  });

  describe('with 200 containers that were read', () => {
    let running: Map<string, ContainerDetails>;
    let inspected: string[];
    let failing: Set<string>;

    beforeEach(async () => {
      running = new Map(
        Array.from({ length: 200 }, (_, at) => [`c${at}`, { ...RUNNING, id: `c${at}`, name: `name ${at}` }]),
      );
      failing = new Set();
      inspected = [];
      inventory = new Inventory({
        ping: () => Promise.resolve(),
        listNetworks: () => Promise.resolve([]),
        listContainers: () => Promise.resolve([...running.values()]),
        inspectContainer: (id: string) => {
          inspected.push(id);
          return failing.has(id)
            ? Promise.reject(new MsiProxyError('MSI_ENGINE_UNRESPONSIVE', 'it hangs'))
            : Promise.resolve(running.get(id));
        },
      } as unknown as EngineClient);
      await inventory.readAll();
      inspected = [];
    });

    it('asks again about 50 of them when the list shows no change, and about each of them in time', async () => {
      await inventory.readChanged();
      assert.equal(inspected.length, 50);
      for (let times = 1; times < 4; times += 1) await inventory.readChanged();
      assert.equal(new Set(inspected).size, 200);
      assert.equal(inspected.length, 200);
    });

    it('tells whom the engine has told about, of whom the list is no proof', async () => {
      failing.add('c0');
      running.set('c0', { ...running.get('c0')!, name: 'another' });
      const told = await inventory.readChanged();
      assert.equal(told.size, 50);
      assert.deepEqual([...told, 'c0'].sort(), inspected.toSorted());
      assert.equal((await inventory.readAll({ mayMiss: true })).size, 199);
    });

    it('asks about all that have changed, have come or are gone', async () => {
      await inventory.readChanged();
      inspected = [];
      const endpoint = { ...RUNNING.networks[0]!, endpointId: 'of the next start' };
      running.set('c7', { ...running.get('c7')!, pid: 99, networks: [endpoint] });
      running.set('c8', { ...running.get('c8')!, state: 'paused' });
      running.set('new', { ...RUNNING, id: 'new', name: 'new' });
      running.delete('c9');
      await inventory.readChanged();
      assert.deepEqual(
        ['c7', 'c8', 'c9', 'new'].filter(id => !inspected.includes(id)),
        [],
      );
      assert.ok(inspected.length <= 54, `${inspected.length} were asked about`);
      assert.equal(inventory.container('c7')?.pid, 99);
      assert.equal(inventory.container('c8')?.state, 'paused');
      assert.equal(inventory.container('c9'), undefined);
      assert.equal(inventory.container('new')?.name, 'new');
    });

    it('asks each time about those of which the engine did not tell', async () => {
      failing.add('c0');
      running.set('c0', { ...running.get('c0')!, name: 'another' });
      await inventory.readChanged();
      assert.deepEqual([...inventory.unreadable.keys()], ['c0']);
      for (let times = 1; times <= 3; times += 1) {
        inspected = [];
        await inventory.readChanged();
        assert.ok(inspected.includes('c0'));
      }
      failing.clear();
      await inventory.readChanged();
      assert.equal(inventory.container('c0')?.name, 'another');
      assert.equal(inventory.unreadable.size, 0);
    });

    it('fails when the engine tells about none', async () => {
      for (const id of running.keys()) failing.add(id);
      await assert.rejects(inventory.readChanged(), { code: 'MSI_ENGINE_UNRESPONSIVE' });
    });
  });
});
