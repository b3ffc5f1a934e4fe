/** What came from elsewhere must not move the cursor of whoever reads it, nor turn the line around (bidirectional marks). */
export function printableLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ');
}
