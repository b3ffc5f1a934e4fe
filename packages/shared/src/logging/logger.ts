import winston from 'winston';
import { redactText, redactValue } from './redact.ts';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Facts of a log line, by name. `containerId` is shortened to 12 characters, `err` takes anything that was thrown, and
 * secrets are masked.
 */
export type LogFields = Readonly<Record<string, unknown>> & {
  readonly containerId?: string;
  readonly err?: unknown;
};

export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to each of its lines. */
  child(fields: LogFields): Logger;
  /** Changes the level of this logger and all of its children while running. */
  setLevel(level: LogLevel): void;
}

export interface LoggerOptions {
  readonly component: string;
  readonly level?: LogLevel;
  /** Where lines go; standard output by default, because container engines collect it. */
  readonly stream?: NodeJS.WritableStream;
}

const SHORT_ID_LENGTH = 12;

/** A logger that writes one JSON object a line with `time` in UTC, `level`, `msg`, `component`. */
export function createLogger({ component, level = 'info', stream }: LoggerOptions): Logger {
  const root = winston.createLogger({
    level,
    exitOnError: false,
    transports: [stream === undefined ? new winston.transports.Console() : streamTransport(stream)],
    format: winston.format.printf(({ level: lineLevel, message, fields }) =>
      JSON.stringify({
        time: new Date().toISOString(),
        level: lineLevel,
        msg: redactText(String(message)),
        component,
        ...(fields as Record<string, unknown>),
      }),
    ),
  });
  const setLevel = (newLevel: LogLevel) => {
    root.level = newLevel;
  };
  return wrap(root, {}, setLevel);
}

/** A logger that writes nothing, for tools that embed a part of the product. */
export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLogger,
  setLevel() {},
};

function streamTransport(stream: NodeJS.WritableStream): winston.transport {
  return new winston.transports.Stream({ stream });
}

function wrap(root: winston.Logger, inherited: LogFields, setLevel: (level: LogLevel) => void): Logger {
  const write = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (root.isLevelEnabled(level))
      root.log({ level, message, fields: printableFields({ ...inherited, ...fields }) });
  };
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: fields => wrap(root, { ...inherited, ...fields }, setLevel),
    setLevel,
  };
}

function printableFields({ containerId, ...fields }: LogFields): Record<string, unknown> {
  return {
    ...(containerId !== undefined && { containerId: containerId.slice(0, SHORT_ID_LENGTH) }),
    ...(redactValue(fields) as Record<string, unknown>),
  };
}
