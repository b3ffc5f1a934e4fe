const UNITS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
] as const;

/** A time span in its largest whole unit, such as `3 h`. */
export function spanText(millis: number): string {
  const seconds = Math.max(0, Math.floor(millis / 1_000));
  const [size, unit] = UNITS.find(([unitSeconds]) => seconds >= unitSeconds) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** The time since then, as {@link spanText}; empty for a time that is none. */
export function ageOf(since: string, nowMillis: number): string {
  const millis = nowMillis - Date.parse(since);
  return Number.isNaN(millis) ? '' : spanText(millis);
}
