import type { Logger, LogLevel } from './logger.ts';

/** The log level of a running program: its own, which its settings say, or for a while another one. */
export interface LogLevelControl {
  /** Switches between its own level and `debug`; where its own level is `debug`, between that and `info`. */
  readonly toggle: () => void;
  /** Another level for its own. What was switched before is over. */
  readonly setOwnLevel: (level: LogLevel) => void;
}

/** Sets the level of a logger, and changes it from then on. */
export function controlLogLevel(logger: Logger, initialLevel: LogLevel): LogLevelControl {
  let ownLevel = initialLevel;
  let level = initialLevel;
  logger.setLevel(level);
  return {
    toggle() {
      const other: LogLevel = ownLevel === 'debug' ? 'info' : 'debug';
      const next = level === ownLevel ? other : ownLevel;
      // Said at a moment when it is written at either level, if `info` is.
      if (next === 'debug') logger.setLevel(next);
      logger.info('The log level was switched', { logLevel: next });
      logger.setLevel(next);
      level = next;
    },
    setOwnLevel(newLevel) {
      if (newLevel === ownLevel) return;
      ownLevel = newLevel;
      level = newLevel;
      logger.setLevel(newLevel);
    },
  };
}
