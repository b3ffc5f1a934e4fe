import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import { CallerTable } from '../../../src/callers/caller-table.ts';
import { callerAt, grantOf } from '../support/callers.ts';

describe('the table of callers', () => {
  const A = '172.17.0.2';
  const B = '172.17.0.3';
  let clock: FakeClock;
  let table: CallerTable;
  let changes: string[];

  beforeEach(() => {
    clock = new FakeClock();
    table = new CallerTable(clock);
    changes = [];
    table.onChange(address => changes.push(address));
  });

  it('tells of a new address, and not of one that is only confirmed again', async () => {
    table.confirm(callerAt(A));
    await clock.advance(500);
    table.confirm(callerAt(A));
    assert.deepEqual(changes, [A]);
    assert.equal(table.get(A)?.confirmedAtMillis, 500);
  });

  it('is not made older by news that were under way for long', async () => {
    await clock.advance(500);
    table.confirm(callerAt(A));
    table.confirm(callerAt(A), 100);
    assert.equal(table.get(A)?.confirmedAtMillis, 500);
  });

  it('tells when another container, another run of it, or another grant is at the address', () => {
    table.confirm(callerAt(A));
    table.confirm(callerAt(A, { containerId: 'f00d'.padEnd(64, '0') }));
    table.confirm(callerAt(A, { containerId: 'f00d'.padEnd(64, '0'), startedAt: '2026-01-02T00:00:00Z' }));
    table.confirm(
      callerAt(A, {
        containerId: 'f00d'.padEnd(64, '0'),
        startedAt: '2026-01-02T00:00:00Z',
        grant: grantOf({ endpoints: ['token'] }),
      }),
    );
    assert.deepEqual(changes, [A, A, A, A]);
  });

  it('is replaced as a whole: what a snapshot does not name is gone', () => {
    table.confirm(callerAt(A));
    table.confirm(callerAt(B));
    changes.length = 0;
    table.replaceAll([callerAt(B)]);
    assert.equal(table.get(A), undefined);
    assert.equal(table.size, 1);
    assert.deepEqual(changes, [A]);
  });

  it('tells of a removal once', () => {
    table.confirm(callerAt(A));
    table.remove(A);
    table.remove(A);
    assert.deepEqual(changes, [A, A]);
  });

  it('knows whether this run of this container still has the address', () => {
    const first = callerAt(A);
    table.confirm(first);
    assert.ok(table.holds(first));
    assert.ok(table.holds({ ...first, grant: { kind: 'unlabelled' } }), 'a grant is no change of hands');
    table.confirm({ ...first, startedAt: '2026-01-02T00:00:00Z' });
    assert.ok(!table.holds(first));
    table.remove(A);
    assert.ok(!table.holds(first));
  });

  it('tells nothing more to a listener that has ended its subscription', () => {
    const seen: string[] = [];
    const end = table.onChange(address => seen.push(address));
    table.confirm(callerAt(A));
    end();
    table.confirm(callerAt(B));
    assert.deepEqual(seen, [A]);
  });
});
