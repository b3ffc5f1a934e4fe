import { execFileSync } from 'node:child_process';
import { constants, openSync, writeSync } from 'node:fs';
import { codeOf } from '../errors/msi-proxy-error.ts';

/**
 * A pipe at this path that nobody reads, and that has no room for another byte. Not on Windows.
 *
 * @returns its end for writing; to be closed
 */
export function openFullPipe(path: string): number {
  execFileSync('mkfifo', [path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  // First by pages, then what is left of the last one.
  for (const length of [4_096, 1]) {
    try {
      for (;;) writeSync(pipe, Buffer.alloc(length, 'x'));
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
    }
  }
  return pipe;
}
