import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { muteWarning } from '../../../src/lifecycle/warnings.ts';

function warning(code?: string): Error {
  return Object.assign(new Error('something is old'), code === undefined ? {} : { code });
}

describe('muting a warning', () => {
  it('keeps only that one from the printer', () => {
    const source = new EventEmitter();
    const printed: Error[] = [];
    source.on('warning', (seen: Error) => printed.push(seen));
    muteWarning(source, 'DEP0060');
    const others = [warning(), warning('DEP0005')];
    for (const each of [warning('DEP0060'), ...others]) source.emit('warning', each);
    assert.deepEqual(printed, others);
  });

  it('adds no printer where there is none, as with --no-warnings', () => {
    const source = new EventEmitter();
    muteWarning(source, 'DEP0060');
    assert.equal(source.listenerCount('warning'), 0);
  });
});
