import assert from 'node:assert/strict';
import { settle } from '@msi-proxy/shared/testing';
import type { ContainerDetails, EngineClient } from '../../../src/docker/index.ts';
import { Inventory } from '../../../src/reconcile/inventory.ts';

const ID = 'c'.repeat(64);

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
});
