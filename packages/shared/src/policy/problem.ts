/** One thing that is wrong with a label, precise enough for its author to mend it. */
export interface LabelProblem {
  readonly label: string;
  /** The offending value or the offending part of it, shortened and printable. */
  readonly value: string;
  readonly expected: string;
}

const MAX_SHOWN_LENGTH = 120;

/** Labels are written by anyone who may start a container: shorten them and escape what could forge a log line. */
export function printable(value: string, maxLength = MAX_SHOWN_LENGTH): string {
  const shown = value.length > maxLength ? `${value.slice(0, maxLength)}…` : value;
  return shown.replace(/[^\x20-\x7e…]/gu, character => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

export function problem(label: string, value: string, expected: string): LabelProblem {
  return { label: printable(label), value: printable(value), expected };
}

export function formatLabelProblem({ label, value, expected }: LabelProblem): string {
  return `label ${label} is "${value}": expected ${expected}`;
}
