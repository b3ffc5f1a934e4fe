/** The text with one version in the place of another, where that stands for itself and is no part of a longer number. */
export function withVersion(text: string, before: string, after: string): string {
  const escaped = before.replaceAll('.', String.raw`\.`);
  return text.replaceAll(new RegExp(String.raw`(?<![\d.])${escaped}(?![\d.]*\d)`, 'g'), after);
}
