import assert from 'node:assert/strict';
import type { Caller } from '@msi-proxy/shared';
import { StoppedSources } from '../../../src/reconcile/stopped-sources.ts';

const ADDRESS = '172.17.0.9';
const OTHER = '172.17.0.10';

function callerOf(name: string, address = ADDRESS): ReadonlyMap<string, Caller> {
  const caller: Caller = {
    address,
    containerId: `id of ${name}`,
    name,
    startedAt: '2026-01-01T00:00:00Z',
    grant: { kind: 'unlabelled' },
  };
  return new Map([[address, caller]]);
}

describe('StoppedSources', () => {
  let sources: StoppedSources;

  beforeEach(() => {
    sources = new StoppedSources();
  });

  function take(packets: Record<string, number>, callers = callerOf('sneaky'), nowMillis = 0) {
    return sources.take(new Map(Object.entries(packets)), { callers, nowMillis });
  }

  it('names who is stopped, once', () => {
    assert.deepEqual(take({ [ADDRESS]: 2 }), [
      {
        address: ADDRESS,
        containerId: 'id of sneaky',
        name: 'sneaky',
        attempts: 2,
        lastAt: '1970-01-01T00:00:00.000Z',
      },
    ]);
    assert.deepEqual(take({ [ADDRESS]: 3 }), []);
    assert.equal(sources.list[0]?.attempts, 3);
  });

  it('shows an address of which no container is known', () => {
    assert.deepEqual(take({ [OTHER]: 1 }), [
      { address: OTHER, attempts: 1, lastAt: '1970-01-01T00:00:00.000Z' },
    ]);
  });

  it('goes on adding when the counters begin anew', () => {
    take({ [ADDRESS]: 5 });
    take({ [ADDRESS]: 2 });
    take({});
    take({ [ADDRESS]: 1 });

    assert.equal(sources.list[0]?.attempts, 8);
  });

  it('tells the next container at the address from the last one', () => {
    take({ [ADDRESS]: 5 });
    take({ [ADDRESS]: 6 }, callerOf('heir'));

    assert.deepEqual(
      sources.list.map(({ name, attempts }) => [name, attempts]),
      [
        ['sneaky', 5],
        ['heir', 1],
      ],
    );
  });

  it('says when one was last stopped, not when it was last looked at', () => {
    take({ [ADDRESS]: 1 }, callerOf('sneaky'), 1_000);
    take({ [ADDRESS]: 1 }, callerOf('sneaky'), 9_000);

    assert.equal(sources.list[0]?.lastAt, '1970-01-01T00:00:01.000Z');
  });

  it('does not grow with forged addresses', () => {
    const forged = Array.from({ length: 4_096 }, (_, at) => [`10.9.${at >> 8}.${at & 255}`, 1] as const);
    take({ [ADDRESS]: 9, ...Object.fromEntries(forged) });

    assert.equal(sources.list.length, 256);
  });
});
