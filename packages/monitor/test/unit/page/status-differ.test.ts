import assert from 'node:assert/strict';
import type { MonitorStatus } from '@msi-proxy/shared';
import { applyChanges, type StatusChanges } from '../../../src/page/model/live-message.ts';
import { StatusDiffer } from '../../../src/page/server/status-differ.ts';
import { someStatus } from '../status/support.ts';

const [client] = someStatus().clients;
const other = { ...client!, containerId: 'd4'.repeat(32), name: 'other' };

describe('the changes of a status', () => {
  let differ: StatusDiffer;
  let shown: MonitorStatus;

  /** What a reader shows after it, and what it was sent for that. */
  function follow(status: MonitorStatus): StatusChanges | undefined {
    const text = differ.next(status);
    const changes = text === undefined ? undefined : (JSON.parse(text) as StatusChanges);
    if (changes !== undefined) shown = applyChanges(shown, changes);
    assert.deepEqual(shown, status);
    assert.deepEqual(JSON.parse(differ.whole), status);
    return changes;
  }

  beforeEach(() => {
    differ = new StatusDiffer();
    differ.next(someStatus());
    shown = someStatus();
  });

  it('are none when nothing has changed', () => {
    assert.equal(follow(someStatus()), undefined);
  });

  it('name a client that has changed, not the others', () => {
    follow(someStatus({ clients: [client!, other] }));
    const refused = { ...other, state: 'refused' as const, reason: 'mistyped' };
    const changes = follow(someStatus({ clients: [client!, refused] }));
    assert.deepEqual(changes, { sections: {}, clients: [refused], gone: [] });
  });

  it('name a client that has gone', () => {
    assert.deepEqual(follow(someStatus({ clients: [] })), {
      sections: {},
      clients: [],
      gone: [client!.containerId],
    });
  });

  it('bring a section as a whole, and take one away that is absent now', () => {
    const tokens = [{ id: 1, resource: 'r', receivedAt: 'a', expiresAt: 'b', hits: 0 }];
    assert.deepEqual(follow(someStatus({ tokens }))?.sections, { tokens });
    assert.deepEqual(follow(someStatus())?.sections, { tokens: null });
  });

  it('carry names that would break the event apart as they are', () => {
    const hostile = { ...client!, name: 'a\nevent: status\ndata: "\u2028</script>' };
    const text = differ.next(someStatus({ clients: [hostile] })) ?? '';
    assert.doesNotMatch(text, /\n/);
    assert.deepEqual((JSON.parse(text) as StatusChanges).clients, [hostile]);
  });
});
