import assert from 'node:assert/strict';
import { type Caller, MsiProxyError, silentLogger } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import type { EngineClient } from '../../../src/docker/index.ts';
import {
  AddressConfirmation,
  type AddressConfirmationOptions,
} from '../../../src/reconcile/address-confirmation.ts';

const ADDRESS = '172.17.0.2';
const READ = new Set(['a', 'b']);
const NOT_READ = new Set<string>();
const UNANSWERED = new MsiProxyError('MSI_ENGINE_UNRESPONSIVE', 'no answer');

function caller(containerId: string, startedAt = '2026-01-01T00:00:00Z'): Caller {
  return { address: ADDRESS, containerId, startedAt, name: containerId, grant: { kind: 'unlabelled' } };
}

describe('AddressConfirmation', () => {
  const witness: NonNullable<AddressConfirmationOptions['witness']> = {
    look: () => ({ linksGone, process: undefined }),
    lookAtAll: callers => new Map([...callers].map(([address, each]) => [address, witness.look(each)])),
    isStill: (_caller, sighting) => sighting.linksGone !== undefined && sighting.linksGone === linksGone,
  };
  let clock: FakeClock;
  /** As the engine has it. */
  let owner: Caller | undefined;
  /** As the monitor believes. */
  let believed: Caller | undefined;
  /** What the kernel shows. */
  let linksGone: number | undefined;
  let isEngineSlow: boolean;
  let isEngineBusy: boolean;
  let eventsHandled: Promise<boolean>;
  let pingError: Error | undefined;
  let readProblem: Error | undefined;
  let waiting: (() => void)[];
  let confirmation: AddressConfirmation;

  beforeEach(() => {
    clock = new FakeClock();
    owner = believed = caller('a');
    linksGone = 0;
    isEngineSlow = isEngineBusy = false;
    eventsHandled = Promise.resolve(true);
    pingError = undefined;
    waiting = [];
    readProblem = undefined;
    const read = async () => {
      if (readProblem !== undefined) throw readProblem;
      if (isEngineSlow) await new Promise<void>(resolve => waiting.push(resolve));
      believed = owner;
    };
    confirmation = new AddressConfirmation({
      engine: {
        ping: () => (pingError === undefined ? Promise.resolve() : Promise.reject(pingError)),
      } as unknown as EngineClient,
      clock,
      logger: silentLogger,
      caller: address => (address === ADDRESS ? believed : undefined),
      readContainer: read,
      readNew: read,
      engineIsBusy: () => isEngineBusy,
      eventsHandled: () => eventsHandled,
      witness,
    });
  });

  async function confirmed(millis: number) {
    const asked = confirmation.confirm(ADDRESS);
    let result: Awaited<typeof asked> | 'pending' = 'pending';
    void asked.then(value => (result = value));
    await settle();
    await clock.advance(millis);
    await settle();
    return result as Awaited<typeof asked> | 'pending';
  }

  it('asks the engine, although nothing has gone', async () => {
    await confirmed(0);
    owner = caller('b');

    assert.deepEqual(await confirmed(0), { kind: 'caller', caller: owner });
  });

  describe('when the engine does not list a container yet of which events tell', () => {
    let handled: PromiseWithResolvers<boolean>;

    beforeEach(() => {
      handled = Promise.withResolvers();
      eventsHandled = handled.promise;
      owner = believed = undefined;
    });

    it('names it when it has been read', async () => {
      const asked = confirmation.confirm(ADDRESS);
      await settle();
      owner = believed = caller('a');
      handled.resolve(true);
      assert.deepEqual(await asked, { kind: 'caller', caller: owner });
    });

    it('names it also when others could not be read', async () => {
      const asked = confirmation.confirm(ADDRESS);
      await settle();
      owner = believed = caller('a');
      handled.resolve(false);
      assert.deepEqual(await asked, { kind: 'caller', caller: owner });
    });

    it('says that nobody has the address when all have been read', async () => {
      handled.resolve(true);
      assert.deepEqual(await confirmed(0), { kind: 'nobody' });
    });

    it('says nothing when some could not be read: it may be one of them', async () => {
      handled.resolve(false);
      assert.equal(await confirmed(0), undefined);
    });

    it('says nothing when that takes too long, and not that nobody has the address', async () => {
      assert.equal(await confirmed(8_999), 'pending');
      assert.equal(await confirmed(9_000), undefined);
    });
  });

  describe('when the engine is busy with other questions', () => {
    beforeEach(async () => {
      await confirmed(0);
      isEngineSlow = isEngineBusy = true;
    });

    it('is not asked about whom the kernel vouches for', async () => {
      assert.deepEqual(await confirmed(0), { kind: 'caller', caller: caller('a') });
      assert.equal(waiting.length, 0);
    });

    it('is asked about all others', async () => {
      linksGone = 1;
      assert.equal(await confirmed(0), 'pending');
      assert.equal(waiting.length, 1);
    });
  });

  describe('when the engine takes long', () => {
    beforeEach(async () => {
      await confirmed(0);
      isEngineSlow = true;
    });

    it('says who has the address when no container has gone since it was asked', async () => {
      assert.equal(await confirmed(249), 'pending');
      assert.deepEqual(await confirmed(250), { kind: 'caller', caller: caller('a') });
    });

    it('waits for it when one has', async () => {
      linksGone = 1;
      const asked = confirmation.confirm(ADDRESS);
      await settle();
      await clock.advance(900);
      owner = caller('b');
      waiting.forEach(resume => resume());
      isEngineSlow = false;

      assert.deepEqual(await asked, { kind: 'caller', caller: caller('b') });
    });

    it('says that it does not answer when one has, and not even a ping comes back', async () => {
      linksGone = 1;
      pingError = UNANSWERED;

      assert.deepEqual(await confirmed(1_000), { kind: 'engine-unresponsive' });
    });

    it('says nothing when one has, as long as it is alive', async () => {
      linksGone = 1;

      assert.equal(await confirmed(8_999), 'pending');
      assert.equal(await confirmed(9_000), undefined);
    });

    it('does not know by it who got the address from somebody else', () => {
      believed = caller('b');

      assert.equal(confirmation.unchanged(ADDRESS), undefined);
    });

    it('does not know by it another run of the same container', () => {
      believed = caller('a', '2026-01-02T00:00:00Z');

      assert.equal(confirmation.unchanged(ADDRESS), undefined);
    });
  });

  it('does not take for the answer what was read before the question and is only told now', async () => {
    const log: string[] = [];
    believed = undefined;
    const asking = new AddressConfirmation({
      engine: {} as EngineClient,
      clock,
      logger: silentLogger,
      caller: () => believed,
      engineIsBusy: () => false,
      eventsHandled: () => Promise.resolve(true),
      readContainer: id => {
        log.push(id);
        believed = owner;
        return Promise.resolve();
      },
      // Somebody else's reading, which began before the question, ends meanwhile.
      readNew: () => {
        believed = log.length === 0 ? caller('gone') : owner;
        return Promise.resolve();
      },
    });

    assert.deepEqual(await asking.confirm(ADDRESS), { kind: 'caller', caller: caller('a') });
    assert.deepEqual(log, ['gone', 'a']);
  });

  it('knows nobody whom it has not asked the engine about', () => {
    assert.equal(confirmation.unchanged(ADDRESS), undefined);
  });

  it('knows nobody where it does not see containers go', async () => {
    linksGone = undefined;
    await confirmed(0);

    assert.equal(confirmation.unchanged(ADDRESS), undefined);
  });

  it('says so at once when the engine answers with an error', async () => {
    await confirmed(0);
    readProblem = new Error('the engine is busy');

    assert.deepEqual(await confirmed(0), { kind: 'caller', caller: caller('a') });
    linksGone = 1;
    assert.equal(await confirmed(0), undefined);
  });

  it('knows those who were there before and after all containers were read', () => {
    const before = new Map([[ADDRESS, caller('a')]]);
    confirmation.beginReading(new Map())(READ);
    assert.equal(confirmation.unchanged(ADDRESS), undefined);

    const noteReading = confirmation.beginReading(before);
    assert.equal(confirmation.unchanged(ADDRESS), undefined, 'not before they were read');
    noteReading(READ);
    assert.equal(confirmation.unchanged(ADDRESS), believed);
    confirmation.beginReading(new Map([[ADDRESS, caller('b')]]))(READ);
    assert.equal(confirmation.unchanged(ADDRESS), believed, 'of the reading before');
  });

  it('goes on knowing those who were left out of a reading, by what was seen before', () => {
    const before = new Map([[ADDRESS, caller('a')]]);
    confirmation.beginReading(before)(READ);
    confirmation.beginReading(before)(NOT_READ);
    assert.equal(confirmation.unchanged(ADDRESS), believed);
  });

  it('does not take those who were left out of a reading for there when it began', () => {
    const before = new Map([[ADDRESS, caller('a')]]);
    confirmation.beginReading(before)(READ);
    linksGone = 1;
    confirmation.beginReading(before)(NOT_READ);
    assert.equal(confirmation.unchanged(ADDRESS), undefined);
  });

  it('takes what went while all containers were read for a change', () => {
    const noteReading = confirmation.beginReading(new Map([[ADDRESS, caller('a')]]));
    linksGone = 1;
    noteReading(READ);

    assert.equal(confirmation.unchanged(ADDRESS), undefined);
  });

  it('takes what went while the engine was asked for a change', async () => {
    isEngineSlow = true;
    const asked = confirmation.confirm(ADDRESS);
    await settle();
    linksGone = 1;
    waiting.forEach(resume => resume());
    await asked;

    assert.equal(confirmation.unchanged(ADDRESS), undefined);
  });

  it('knows nobody whose interface it may not have seen: of another run than the one that it asked about', async () => {
    owner = caller('a', '2026-01-02T00:00:00Z');
    await confirmed(0);
    assert.equal(confirmation.unchanged(ADDRESS), undefined);

    await confirmed(0);
    assert.equal(confirmation.unchanged(ADDRESS), owner);
  });

  it('forgets whoever has lost the address', async () => {
    await confirmed(0);
    owner = undefined;
    await confirmed(0);
    believed = caller('a');

    assert.equal(confirmation.unchanged(ADDRESS), undefined);
  });

  it('remembers a bounded number of addresses', async () => {
    await confirmed(0);
    const other = new AddressConfirmation({
      engine: {} as EngineClient,
      clock,
      logger: silentLogger,
      caller: address => ({ ...caller('a'), address }),
      engineIsBusy: () => false,
      eventsHandled: () => Promise.resolve(true),
      readContainer: () => Promise.resolve(),
      readNew: () => Promise.resolve(),
      witness,
    });
    const addresses = Array.from({ length: 4_097 }, (_, at) => `10.0.${at >> 8}.${at & 255}`);
    for (const address of addresses) await other.confirm(address);

    assert.equal(other.unchanged(addresses[0]!), undefined);
    assert.notEqual(other.unchanged(addresses[1]!), undefined);
  });
});
