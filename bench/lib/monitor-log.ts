export interface LogLine {
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What a monitor has logged, one JSON object a line. */
export function logLines(log: string): LogLine[] {
  return log
    .split('\n')
    .filter(line => line.startsWith('{') && line.endsWith('}'))
    .map(line => JSON.parse(line) as LogLine);
}

/** From the start of each container until the monitor had verified its wiring; short-lived ones may be gone before. */
export function wiredMillisOf(log: string): number[] {
  return logLines(log)
    .map(({ wiredAfterMillis }) => wiredAfterMillis)
    .filter(millis => typeof millis === 'number');
}
