import assert from 'node:assert/strict';
import { createTerminal } from '../../../src/terminal/terminal.ts';

describe('the terminal', () => {
  const on = (isTTY: boolean, environment: Readonly<Record<string, string>> = {}) =>
    createTerminal({ write: () => true, isTTY, columns: 120 }, environment);
  const isColoured = (isTTY: boolean, environment: Readonly<Record<string, string>> = {}) =>
    on(isTTY, environment).paint('x', 'red') === '\u001b[31mx\u001b[0m';

  it('is coloured, and a file is not', () => {
    assert.ok(isColoured(true));
    assert.equal(on(false).paint('x', 'red'), 'x');
  });

  it('is coloured or not as the environment says', () => {
    assert.ok(!isColoured(true, { NO_COLOR: '1' }));
    assert.ok(isColoured(true, { NO_COLOR: '' }));
    assert.ok(!isColoured(true, { TERM: 'dumb' }));
    assert.ok(isColoured(false, { FORCE_COLOR: '1' }));
    assert.ok(isColoured(false, { FORCE_COLOR: '1', NO_COLOR: '1' }));
    assert.ok(!isColoured(true, { FORCE_COLOR: '0' }));
  });

  it('has a width, and a file has none', () => {
    assert.equal(on(true).width, 120);
    assert.equal(on(false).width, Infinity);
    assert.equal(createTerminal({ write: () => true, isTTY: true }, {}).width, 80);
  });
});
