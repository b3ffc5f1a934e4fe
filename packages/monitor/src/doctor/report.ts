import type { CheckOutcome, Verdict } from './check.ts';
import { VERDICTS } from './check.ts';
import { wrapText } from '@msi-proxy/shared/command-line';
import { printableLine } from '../terminal/printable-line.ts';
import type { Colour, Paint } from '../terminal/paint.ts';

const COLOURS: Readonly<Record<Verdict, Colour>> = {
  ok: 'green',
  warning: 'yellow',
  failed: 'red',
  skipped: 'dim',
};

const TITLE_WIDTH = 18;
const INDENT = 'warning  '.length + TITLE_WIDTH + 2;

/** The worst result; `skipped` when nothing was asked. */
export function worstOf(outcomes: readonly CheckOutcome[]): Verdict {
  return VERDICTS[Math.max(0, ...outcomes.map(({ result }) => VERDICTS.indexOf(result)))]!;
}

/** One outcome as lines for people. */
export function formatOutcome(
  outcome: CheckOutcome,
  { paint, width }: { readonly paint: Paint; readonly width: number },
): string {
  const { result, title, seen, remedy } = outcome;
  const textWidth = Math.max(width - INDENT, 30);
  const [first = '', ...further] = wrapText(printableLine(seen), textWidth);
  const head = `${paint(result.padEnd(7), COLOURS[result])}  ${printableLine(title).padEnd(TITLE_WIDTH)}  ${first}`;
  const advice = remedy === undefined ? [] : wrapText(`→ ${printableLine(remedy)}`, textWidth);
  return [head.trimEnd(), ...[...further, ...advice].map(line => ' '.repeat(INDENT) + line), ''].join('\n');
}
