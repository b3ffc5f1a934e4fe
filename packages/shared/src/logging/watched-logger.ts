import type { LogFields, Logger } from './logger.ts';

/**
 * A logger that also tells of each failure that is logged as a warning or an error.
 *
 * @param onFailure takes what was thrown
 */
export function watchedLogger(logger: Logger, onFailure: (err: unknown) => void): Logger {
  const watched = (write: Logger['warn']) => (message: string, fields?: LogFields) => {
    if (fields?.err !== undefined) onFailure(fields.err);
    write(message, fields);
  };
  return {
    error: watched((message, fields) => logger.error(message, fields)),
    warn: watched((message, fields) => logger.warn(message, fields)),
    info: (message, fields) => logger.info(message, fields),
    debug: (message, fields) => logger.debug(message, fields),
    child: fields => watchedLogger(logger.child(fields), onFailure),
    setLevel: level => logger.setLevel(level),
  };
}
