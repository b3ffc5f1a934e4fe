import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Text in a style; plain where standard output is no terminal or NO_COLOR is set. */
export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** Prints rows as a table with aligned columns. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, column) =>
    Math.max(visibleLength(title), ...rows.map(row => visibleLength(row[column] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + ' '.repeat(widths[column]! - visibleLength(cell)))
      .join('  ')
      .trimEnd();
  console.log(styled('bold', line(header)));
  console.log(styled('dim', widths.map(width => '─'.repeat(width)).join('  ')));
  for (const row of rows) console.log(line(row));
}

export function formatBytes(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}
