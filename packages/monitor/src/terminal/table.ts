import type { Colour, Paint } from './paint.ts';
import { printableLine } from './printable-line.ts';

export interface Column<Row> {
  readonly head: string;
  readonly text: (row: Row) => string;
  /** Of this cell; without one it is not coloured. */
  readonly colour?: (row: Row) => Colour | undefined;
}

export interface TableOptions {
  readonly paint: Paint;
  /** Characters in a line; what does not fit is cut, the longest columns first. */
  readonly width: number;
}

const GAP = '  ';
const ELLIPSIS = '…';
/** No column is cut below this, so that one can still tell what it is about. */
const MIN_CUT_WIDTH = 12;

/** A table in lines, with a line of heads. Cells of what came from elsewhere may hold anything. */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { paint, width }: TableOptions,
): string[] {
  const texts = rows.map(row => columns.map(({ text }) => printableLine(text(row))));
  const natural = columns.map(({ head }, index) =>
    Math.max(head.length, ...texts.map(cells => lengthOf(cells[index] ?? ''))),
  );
  const widths = fittedWidths(natural, width - GAP.length * (columns.length - 1));
  const line = (cells: readonly string[], paintCell: (text: string, index: number) => string) =>
    cells
      .map((cell, index) => {
        const shown = cut(cell, widths[index]!);
        const isLast = index === cells.length - 1;
        return paintCell(shown, index) + (isLast ? '' : ' '.repeat(widths[index]! - lengthOf(shown)));
      })
      .join(GAP)
      .trimEnd();
  const heads = line(
    columns.map(({ head }) => head),
    text => paint(text, 'bold'),
  );
  return [
    heads,
    ...rows.map((row, at) =>
      line(texts[at]!, (text, index) => {
        const colour = columns[index]!.colour?.(row);
        return colour === undefined ? text : paint(text, colour);
      }),
    ),
  ];
}

/** Takes from the widest column until all of them fit, or nothing more may be taken. */
function fittedWidths(natural: readonly number[], available: number): number[] {
  const widths = [...natural];
  for (let excess = sum(widths) - available; excess > 0; excess = sum(widths) - available) {
    const widest = widths.indexOf(Math.max(...widths));
    const others = widths.filter((_, index) => index !== widest);
    const next = Math.max(MIN_CUT_WIDTH, ...others);
    const cutTo = Math.max(Math.min(next, widths[widest]! - 1), widths[widest]! - excess, MIN_CUT_WIDTH);
    if (cutTo >= widths[widest]!) break;
    widths[widest] = cutTo;
  }
  return widths;
}

/** In code points, so that no character is cut in two. */
function lengthOf(text: string): number {
  return Array.from(text).length;
}

function cut(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width ? text : characters.slice(0, width - 1).join('') + ELLIPSIS;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
