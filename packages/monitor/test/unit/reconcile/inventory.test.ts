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
});
