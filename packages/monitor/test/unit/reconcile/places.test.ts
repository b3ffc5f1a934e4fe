import assert from 'node:assert/strict';
import { settle } from '@msi-proxy/shared/testing';
import { Places } from '../../../src/reconcile/places.ts';

describe('Places', () => {
  let places: Places;
  /** Who is at work, and how to end it. */
  let atWork: Map<string, PromiseWithResolvers<string>>;

  beforeEach(() => {
    places = new Places(2);
    atWork = new Map();
  });

  function use(name: string, isUrgent?: () => boolean): Promise<string> {
    return places.use(async () => {
      const work = Promise.withResolvers<string>();
      atWork.set(name, work);
      return await work.promise.finally(() => atWork.delete(name));
    }, isUrgent);
  }

  it('lets so many work at a time, and the next one when one has ended', async () => {
    const first = use('a');
    for (const name of ['b', 'c', 'd']) void use(name);
    await settle();
    assert.deepEqual([...atWork.keys()], ['a', 'b']);
    atWork.get('a')!.resolve('done');
    assert.equal(await first, 'done');
    await settle();
    assert.deepEqual([...atWork.keys()], ['b', 'c']);
  });

  it('gets a place back from work that failed', async () => {
    const first = use('a');
    for (const name of ['b', 'c']) void use(name);
    await settle();
    atWork.get('a')!.reject(new Error('no'));
    await assert.rejects(first, /no/);
    await settle();
    assert.deepEqual([...atWork.keys()], ['b', 'c']);
  });

  it('lets those go first who are urgent, also those who have become so while they waited', async () => {
    let isUrgent = false;
    void use('a');
    void use('b');
    void use('c');
    void use('d', () => isUrgent);
    void use('e', () => true);
    await settle();
    isUrgent = true;
    for (const [ends, begins] of [
      ['a', 'd'],
      ['b', 'e'],
      ['d', 'c'],
    ] as const) {
      atWork.get(ends)!.resolve('');
      await settle();
      assert.ok(atWork.has(begins), begins);
      assert.equal(atWork.size, 2);
    }
  });

  it('lets nobody pass who comes when a place is given to somebody who has waited', async () => {
    void use('a');
    void use('b');
    void use('c');
    await settle();
    atWork.get('a')!.resolve('');
    void use('d');
    await settle();
    assert.deepEqual([...atWork.keys()], ['b', 'c']);
  });
});
