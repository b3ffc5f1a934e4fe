/**
 * Whether a program printed what a page shows. `…` stands for anything within a line, and alone on a line for any number
 * of lines; runs of blanks count as one, since columns move with what is in them.
 */
export function isAsShown(shown: string, printed: string): boolean {
  const pattern = normal(shown)
    .map(line => (line === '…' ? '(?:.*\\n)*?' : `${line.split(/ ?… ?/).map(escaped).join('.*')}\\n`))
    .join('');
  return new RegExp(`^${pattern}$`).test(`${normal(printed).join('\n')}\n`);
}

function normal(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map(line => line.trim().replaceAll(/\s+/g, ' '));
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
