import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { matchesResource, parseResourcePattern } from '../../../src/index.ts';

const PAGE = join(import.meta.dirname, '../../../../../docs/policy.md');
const ROW = /^\| `([^`]+)` \| `([^`]+)` \| (yes|no) \|$/gm;

describe('the page about policy labels', () => {
  const rows = [...readFileSync(PAGE, 'utf8').matchAll(ROW)];

  it('has its table of resources', () => {
    assert.ok(rows.length >= 15, `${rows.length} rows`);
  });

  for (const [, label = '', request = '', match] of rows) {
    it(`says rightly that ${label} ${match === 'yes' ? 'matches' : 'does not match'} ${request}`, () => {
      const pattern = parseResourcePattern(label);
      assert.ok(pattern !== undefined);
      assert.equal(matchesResource(pattern, request), match === 'yes');
    });
  }
});
