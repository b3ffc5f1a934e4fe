const UNITS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
] as const;

/** A time span in its largest whole unit, such as `3 h`; empty for a time that is none. */
export function ageOf(since: string, nowMillis: number): string {
  const seconds = Math.max(0, Math.floor((nowMillis - Date.parse(since)) / 1_000));
  if (Number.isNaN(seconds)) return '';
  const [size, unit] = UNITS.find(([unitSeconds]) => seconds >= unitSeconds) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${unit}`;
}
