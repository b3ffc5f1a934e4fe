import type { Logger, LogLevel } from './logger.ts';

/**
 * Switches a running program between its own level and `debug`.
 *
 * @returns what switches, to `debug` first; a program whose own level is `debug` goes to `info` and back
 */
export function debugSwitch(logger: Logger, ownLevel: LogLevel): () => void {
  const other: LogLevel = ownLevel === 'debug' ? 'info' : 'debug';
  let level = ownLevel;
  return () => {
    const next = level === ownLevel ? other : ownLevel;
    // Said at a moment when it is written at either level, if `info` is.
    if (next === 'debug') logger.setLevel(next);
    logger.info('The log level was switched', { logLevel: next });
    logger.setLevel(next);
    level = next;
  };
}
