import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

describe('docs/operations.md, messages worth an alarm', () => {
  const rows = [
    ...readFileSync(`${ROOT}docs/operations.md`, 'utf8').matchAll(/^\| (monitor|proxy) +\| `([^`]+)`/gm),
  ];

  it('names messages of both programs', () => {
    assert.deepEqual(new Set(rows.map(([, program]) => program)), new Set(['monitor', 'proxy']));
  });

  for (const [, program = '', message = ''] of rows) {
    it(`knows "${message}" of the ${program}`, () => {
      const files = globSync(`packages/${program}/src/**/*.ts`, { cwd: ROOT });
      assert.ok(files.some(file => readFileSync(`${ROOT}${file}`, 'utf8').includes(message)));
    });
  }
});
