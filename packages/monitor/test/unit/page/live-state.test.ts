import assert from 'node:assert/strict';
import { nextLiveState, NOT_HEARD_YET, type LiveInput } from '../../../src/page/model/live-state.ts';
import { someStatus } from '../status/support.ts';

describe('what the page knows', () => {
  function after(...inputs: readonly (readonly [atMillis: number, input: LiveInput])[]) {
    return inputs.reduce((state, [atMillis, input]) => nextLiveState(state, input, atMillis), NOT_HEARD_YET);
  }

  const status = { kind: 'status', status: someStatus() } as const;
  const lost = { kind: 'lost' } as const;

  it('is nothing, until the first status', () => {
    assert.deepEqual(NOT_HEARD_YET.connection, { kind: 'connecting' });
    assert.deepEqual(after([0, status]).connection, { kind: 'live' });
  });

  it('stays when the connection is lost, which is told with the time of the first failure', () => {
    const state = after([0, status], [1_000, lost], [2_000, lost]);
    assert.deepEqual(state.connection, { kind: 'lost', sinceMillis: 1_000 });
    assert.deepEqual(state.status, someStatus());
  });

  it('is live again with a status, not by a mere sign of life', () => {
    const beat = { kind: 'beat', nowMillis: 5_000 } as const;
    assert.equal(after([0, status], [1_000, lost], [2_000, beat]).connection.kind, 'lost');
    assert.equal(after([0, status], [1_000, lost], [2_000, beat], [3_000, status]).connection.kind, 'live');
  });

  it('ignores changes of what it does not have', () => {
    const changes = {
      kind: 'changes',
      changes: { sections: { version: '2' }, clients: [], gone: [] },
    } as const;
    assert.equal(after([0, changes]), NOT_HEARD_YET);
    assert.equal(after([0, status], [1, changes]).status?.version, '2');
  });

  it("goes by the monitor's clock", () => {
    assert.equal(after([1_000, { kind: 'beat', nowMillis: 61_000 }]).clockOffsetMillis, 60_000);
  });
});
