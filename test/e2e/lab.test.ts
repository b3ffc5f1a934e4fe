import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
describe('lab', () => {
  it('x', () => {
    assert.ok(existsSync('/'));
  });
  it.skip('y (needs z)', () => {});
  it('f', () => {
    assert.equal(1, 2);
  });
});
