import assert from 'node:assert/strict';
import type { Caller } from '@msi-proxy/shared';
import { KernelWitness } from '../../../src/reconcile/kernel-witness.ts';

const CALLER: Caller = {
  address: '172.17.0.2',
  containerId: 'c'.repeat(64),
  startedAt: '2026-01-01T00:00:00Z',
  name: 'orders',
  grant: { kind: 'unlabelled' },
};

function stat(start: number): string {
  return `4711 (a) R (b) S 1 4711 4711 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 ${start} 3133440 361\n`;
}

/** As Linux prints it, twice: for each of its tables. */
function fibTrie(address: string, kind = '/32 host LOCAL'): string {
  return `Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n        |-- ${address}\n           ${kind}\n`;
}

describe('KernelWitness', () => {
  let files: Record<string, string>;
  let linksGone: number | undefined;
  let isOnBridge: boolean;
  /** Of the interfaces. */
  let readings: number;
  let witness: KernelWitness;

  beforeEach(() => {
    files = { '/proc/4711/stat': stat(100), '/proc/4711/net/fib_trie': fibTrie(CALLER.address) };
    linksGone = 0;
    isOnBridge = true;
    readings = 0;
    witness = new KernelWitness({
      links: {
        gone: () => {
          readings += 1;
          return linksGone;
        },
      },
      readText: path => files[path],
      bridge: () => 'br-msi',
      isOnBridge: () => isOnBridge,
      pid: () => 4711,
    });
  });

  it('is certain while no interface has gone, also where it does not see processes', () => {
    files = {};
    const sighting = witness.look(CALLER);

    assert.equal(witness.isStill(CALLER, sighting), true);
    linksGone = 1;
    assert.equal(witness.isStill(CALLER, sighting), false);
  });

  it('reads the interfaces once for all whom it looks at together', () => {
    const callers = new Map(
      Array.from({ length: 200 }, (_, at) => {
        const address = `172.17.1.${at}`;
        return [address, { ...CALLER, address }];
      }),
    );
    const sightings = witness.lookAtAll(callers);

    assert.equal(readings, 1);
    assert.deepEqual([...sightings.keys()], [...callers.keys()]);
    for (const [address, caller] of callers) assert.deepEqual(sightings.get(address), witness.look(caller));
  });

  it('takes interfaces for no sign of who does not have one on a bridge', () => {
    files = {};
    isOnBridge = false;

    assert.equal(witness.isStill(CALLER, witness.look(CALLER)), false);
  });

  describe('where it sees processes', () => {
    beforeEach(() => {
      linksGone = undefined;
    });

    it('is certain while the process runs, and has the address', () => {
      assert.equal(witness.isStill(CALLER, witness.look(CALLER)), true);
    });

    const changes: [what: string, change: () => void][] = [
      ['it has ended', () => (files = {})],
      ['another one has its number', () => (files['/proc/4711/stat'] = stat(101))],
      ['its network has another address', () => (files['/proc/4711/net/fib_trie'] = fibTrie('172.17.0.22'))],
      [
        'its network only has a route to the address',
        () => (files['/proc/4711/net/fib_trie'] = fibTrie(CALLER.address, '/32 link UNICAST')),
      ],
      ['its network cannot be read', () => delete files['/proc/4711/net/fib_trie']],
    ];
    for (const [what, change] of changes) {
      it(`is not when ${what}`, () => {
        const sighting = witness.look(CALLER);
        change();

        assert.equal(witness.isStill(CALLER, sighting), false);
      });
    }

    it('is not when it has not seen the process before', () => {
      const { [`/proc/4711/stat`]: later, ...others } = files;
      files = others;
      const sighting = witness.look(CALLER);
      files = { ...others, '/proc/4711/stat': later! };

      assert.equal(witness.isStill(CALLER, sighting), false);
    });
  });
});
