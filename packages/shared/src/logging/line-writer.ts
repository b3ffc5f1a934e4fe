import { Writable } from 'node:stream';

/** How long a program that was stopped waits for somebody to read its last lines. */
export const LAST_LINES_MILLIS = 1_000;

/** What waits for a reader at most, in characters: some thousand lines. */
const MAX_WAITING_LENGTH = 1024 * 1024;

/**
 * A stream that hands lines on at once, as long as what has been handed on is read. When nobody reads any more, as where the
 * engine that collects the log hangs, lines are left out until all that waits has been read, so that the memory of a
 * program that goes on serving stays bounded.
 *
 * @param omission the line that says how many were left out; written when there is room again
 */
export function lineWriter(output: Writable, omission: (lines: number) => string): Writable {
  let omittedLines = 0;
  const tellOmitted = () => {
    if (omittedLines === 0) return;
    const line = omission(omittedLines);
    omittedLines = 0;
    output.write(line);
  };
  output.on('drain', tellOmitted);
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      const { writableLength: waitingLength } = output;
      // By the length, not by the last `drain`: after an error there is none.
      if (waitingLength >= MAX_WAITING_LENGTH || (omittedLines > 0 && waitingLength > 0)) {
        omittedLines += 1;
      } else {
        tellOmitted();
        output.write(line);
      }
      done();
    },
  });
}
