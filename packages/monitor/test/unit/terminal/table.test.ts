import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ageOf } from '../../../src/terminal/duration.ts';
import { formatTable, type Column } from '../../../src/terminal/table.ts';

const COLUMNS: readonly Column<readonly string[]>[] = [
  { head: 'A', text: ([a = '']) => a },
  { head: 'B', text: ([, b = '']) => b },
  { head: 'C', text: ([, , c = '']) => c },
];
const plain = (text: string) => text;

describe('a table', () => {
  it('aligns columns, without blanks at the ends of lines', () => {
    const lines = formatTable(
      COLUMNS,
      [
        ['x', 'long', ''],
        ['yy', '', 'z'],
      ],
      { paint: plain, width: Infinity },
    );
    assert.deepEqual(lines, ['A   B     C', 'x   long', 'yy        z']);
  });

  it('fits the width whenever columns of twelve characters do', () => {
    const cell = fc.string({ unit: 'grapheme', maxLength: 60 });
    fc.assert(
      fc.property(
        fc.array(fc.array(cell, { minLength: 3, maxLength: 3 }), { maxLength: 5 }),
        fc.integer({ min: 40, max: 120 }),
        (rows, width) => {
          for (const line of formatTable(COLUMNS, rows, { paint: plain, width })) {
            assert.ok(Array.from(line).length <= width, line);
            assert.doesNotMatch(line, /\p{Cc}/u);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('marks what was cut', () => {
    const [, line] = formatTable(COLUMNS, [['name', 'x'.repeat(80), '']], { paint: plain, width: 40 });
    assert.match(line ?? '', /^name +x+…$/);
  });
});

describe('an age', () => {
  const now = Date.parse('2026-01-10T00:00:00Z');
  for (const [since, age] of [
    ['2026-01-09T23:59:59.500Z', '0 s'],
    ['2026-01-09T23:59:01Z', '59 s'],
    ['2026-01-09T23:00:01Z', '59 min'],
    ['2026-01-09T01:00:00Z', '23 h'],
    ['2026-01-01T00:00:00Z', '9 d'],
    ['2026-01-11T00:00:00Z', '0 s'],
    ['', ''],
  ] as const) {
    it(`since "${since}" is "${age}"`, () => assert.equal(ageOf(since, now), age));
  }
});
